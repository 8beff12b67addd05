// version: this library's, as one number. Ranks of different versions refuse one another.
#pragma once

namespace tutti {

inline constexpr int kVersionCode = 10000;  // TUTTI_VERSION_CODE of the public header (lib/api/version.cc compares them)

}  // namespace tutti

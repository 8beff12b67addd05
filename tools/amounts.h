// amounts: bytes and times as people read them.
#pragma once
#include <string>

namespace tutti::tool {

// "64 KiB", "1.5 MiB"
std::string text_of_bytes(double bytes);
// "12.34 us", "1078.21 ms"
std::string text_of_seconds(double seconds);

}  // namespace tutti::tool

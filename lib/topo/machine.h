// machine: what this host is made of, as far as the data path cares.
#pragma once
#include <cstddef>
#include <istream>

namespace tutti {

// Bytes of the last-level cache of the first core, as the kernel tells, but not more than 16 MiB for each who shares it; a
// middling value where it does not tell.
size_t last_cache_bytes();

// Processors in a list as the kernel writes them: "0-3,8" are 5.
size_t processors_in(std::istream& list);

}  // namespace tutti

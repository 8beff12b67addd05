// machine: what this host is made of, as far as the data path cares.
#pragma once
#include <cstddef>

namespace tutti {

// Bytes of the last-level cache of the first core, as the kernel tells; a middling value where it does not.
size_t last_cache_bytes();

}  // namespace tutti

// memory: the only large allocator; what tuttiMemAlloc hands out.
#pragma once
#include <cstddef>

#include "lib/base/status.h"

namespace tutti {

// Page-aligned, zeroed. Pages come into being when touched.
Result<void*> allocate_shared(size_t bytes);
// False: not a pointer that allocate_shared() gave and nobody has freed.
bool free_shared(void* pointer);

}  // namespace tutti

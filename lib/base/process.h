// process: a random token that identifies this process. A pid does not: parent and child may both be pid 1 of their namespaces.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace tutti {

// Different in every process of every machine. A forked child's token differs from its parent's.
using ProcessToken = std::array<uint64_t, 2>;
ProcessToken process_token();

// Zeroed memory that is zeroed again in every forked child, for what a child must not take over. It is never freed. Null: there is no
// memory, or kMostWiped calls were made before. Any thread.
inline constexpr size_t kMostWiped = 8;
void* allocate_wiped(size_t bytes);

}  // namespace tutti

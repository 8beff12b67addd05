// process: a random token that identifies this process. A pid does not: parent and child may both be pid 1 of their namespaces.
#pragma once
#include <array>
#include <cstdint>

namespace tutti {

// Different in every process of every machine. A forked child's token differs from its parent's.
using ProcessToken = std::array<uint64_t, 2>;
ProcessToken process_token();

}  // namespace tutti

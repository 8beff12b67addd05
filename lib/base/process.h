// process: which process this is, by a random token: a pid says little, since parent and child may both be pid 1 of their namespaces.
#pragma once
#include <array>
#include <cstdint>

namespace tutti {

// Different in every process of every machine, and in a forked child from its parent's.
using ProcessToken = std::array<uint64_t, 2>;
ProcessToken process_token();

}  // namespace tutti

// signature: what of a call's signature (lib/comm/call.h) the executor knows.
//
// It travels with every message of the call, so that who receives a message of another call notices, and can say which. Its lowest bits
// are a count of elements: the call's, or in AllToAllV that of the two ranks.
#pragma once
#include <cstddef>
#include <cstdint>

namespace tutti {

// What a rank remarks about its own call. Those of different ranks may differ in it.
inline constexpr uint64_t kRemark = uint64_t{1} << 51;
inline bool of_one_call(uint64_t a, uint64_t b) { return ((a ^ b) & ~kRemark) == 0; }

inline constexpr uint64_t kCountMask = (uint64_t{1} << 40) - 1;
// A count past the mask is folded into it.
inline uint64_t folded_count(uint64_t count) {
  return count <= kCountMask ? count : (count ^ (count >> 40) * 0x9e3779b1) & kCountMask;
}

}  // namespace tutti

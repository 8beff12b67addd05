// signature: the part of a call's signature (lib/comm/call.h) that the executor knows.
//
// The signature travels with every message of the call. So the receiver notices a message of another call, and can say which call it is.
// The lowest bits are a count of elements: the call's, or in AlltoAllV the count between sender and receiver.
#pragma once
#include <cstddef>
#include <cstdint>

namespace tutti {

inline constexpr int kCountBits = 36, kRootBits = 11;

// Set by a rank whose buffers of this call its peer can access in place. It may differ between the ranks of one call.
inline constexpr uint64_t kMappedFlag = uint64_t{1} << (kCountBits + kRootBits);
inline bool of_one_call(uint64_t a, uint64_t b) { return ((a ^ b) & ~kMappedFlag) == 0; }

inline constexpr uint64_t kCountMask = (uint64_t{1} << kCountBits) - 1;
// A count that needs more bits than the mask has is folded into them.
inline uint64_t folded_count(uint64_t count) {
  return count <= kCountMask ? count : (count ^ (count >> kCountBits) * 0x9e3779b1) & kCountMask;
}

}  // namespace tutti

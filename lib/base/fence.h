// fence: a pair of fences of which one side costs nothing.
//
// Two threads that each write a flag and then read the other's need a full fence on both sides. Where one side runs on every call
// and the other once in a while (destroying, going to sleep), the rare one pays for both: it makes the kernel run a full fence on
// every core on which a thread of the other side is running. light_fence() then only keeps the compiler from reordering.
//
// That holds on any processor: such a core runs the fence before its write (then it reads the flag that the rare side wrote
// earlier), or after its read, or between them (then its write is visible when the rare side goes on). No order of x86's own
// is relied on.
#pragma once
#include <atomic>

namespace tutti {

// The frequent side, against heavy_fence() of the same process.
void heavy_fence();
extern const bool kLightFenceIsFree;
inline void light_fence() {
  if (kLightFenceIsFree) [[likely]]
    std::atomic_signal_fence(std::memory_order_seq_cst);
  else
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

// The same between processes that have loaded this library. False: the system cannot, and heavy_fence_all() is an ordinary fence.
extern const bool kHeavyFenceAllWorks;
void heavy_fence_all();

}  // namespace tutti

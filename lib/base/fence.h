// fence: a pair of fences of which one side costs nothing.
//
// Two threads that each write a flag and then read the other's need a full fence on both sides. Where one side runs on every call
// and the other once in a while (destroying, going to sleep), the rare one pays for both: it makes the kernel run a full fence on
// every core on which a thread of the other side is running. light_fence() then only keeps the compiler from reordering.
//
// Why that is enough, on any processor: the frequent side writes its flag, then reads the other's. The kernel's fence runs on its core
//  - before the write: then the read sees the flag that the rare side wrote before the fence;
//  - after the write: then the rare side, which goes on after the fence, sees that write.
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

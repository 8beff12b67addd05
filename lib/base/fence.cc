// fence: see fence.h; by membarrier(2).
#include "lib/base/fence.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace tutti {
namespace {

bool membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0) == 0; }

}  // namespace

// When the library is loaded: once the process has several threads, the kernel takes milliseconds for this. Children of fork()
// inherit it.
const bool kLightFenceIsFree = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
const bool kHeavyFenceAllWorks = membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);

void heavy_fence() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (kLightFenceIsFree) (void)membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

void heavy_fence_all() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  (void)membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
}

}  // namespace tutti

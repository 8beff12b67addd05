// turns: see turns.h.
#include "lib/comm/turns.h"

namespace tutti {

// A thread that waits here is rare (an abort, or a synchronous call behind queued ones), so that who ends a turn need not know
// of it: it looks again every millisecond at the latest.
void Turns::wait_blocking(uint64_t ticket) {
  const auto come = [&] { return turn_.load(std::memory_order_acquire) >= ticket; };
  std::unique_lock lock(mutex_);
  while (!changed_.wait_until(lock, Deadline::after_s(1e-3), come)) {
  }
}

void Turns::end_and_tell() {
  end();
  std::lock_guard lock(mutex_);
  changed_.notify_all();
}

}  // namespace tutti

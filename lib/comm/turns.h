// turns: calls on a communicator run in the order in which their tickets were taken, one batch at a time.
//
// The one thread that makes calls takes the tickets, so that plain stores do. Only the thread whose turn it is changes turn_.
#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>

#include "lib/base/condition.h"

namespace tutti {

class Turns {
 public:
  uint64_t take_ticket() {
    const uint64_t ticket = tickets_.load(std::memory_order_relaxed);
    tickets_.store(ticket + 1, std::memory_order_release);
    return ticket;
  }
  void wait(uint64_t ticket) {
    // Not "equal": who waits for all before a ticket may find later ones over, too.
    if (turn_.load(std::memory_order_acquire) < ticket) [[unlikely]]
      wait_blocking(ticket);
  }
  void end() { turn_.store(turn_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }
  // The same, and wakes who waits for a turn; for streams, where somebody probably does.
  void end_and_tell();
  // Until all calls have run whose tickets have been taken. Any thread.
  void wait_idle() { wait(tickets_.load(std::memory_order_acquire)); }

 private:
  void wait_blocking(uint64_t ticket);

  std::atomic<uint64_t> tickets_{0}, turn_{0};
  std::mutex mutex_;  // for changed_ only
  Condition changed_;
};

}  // namespace tutti

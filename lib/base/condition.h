// condition: a condition variable whose deadlines follow the monotonic clock. Changes of the wall clock do not matter.
//
// std::condition_variable can do this, too, but by a call (pthread_cond_clockwait) that today's thread sanitizers do not know.
#pragma once
#include <pthread.h>

#include <mutex>

#include "lib/base/clock.h"

namespace tutti {

class Condition {
 public:
  Condition() {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&condition_, &attributes);
    pthread_condattr_destroy(&attributes);
  }
  ~Condition() { pthread_cond_destroy(&condition_); }
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  void notify_all() { pthread_cond_broadcast(&condition_); }
  // Waits until done() holds.
  template <typename Done>
  void wait(std::unique_lock<std::mutex>& lock, Done done) {
    while (!done()) pthread_cond_wait(&condition_, lock.mutex()->native_handle());
  }
  // Waits until done() holds, or until the deadline. Returns what done() said last.
  template <typename Done>
  bool wait_until(std::unique_lock<std::mutex>& lock, const Deadline& deadline, Done done) {
    const timespec at = deadline.at();
    while (!done()) {
      if (deadline.passed()) return false;
      pthread_cond_timedwait(&condition_, lock.mutex()->native_handle(), &at);
    }
    return true;
  }

 private:
  pthread_cond_t condition_;
};

}  // namespace tutti

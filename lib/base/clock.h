// clock: monotonic time and deadlines.
#pragma once
#include <cstdint>
#include <ctime>

namespace tutti {

// Nanoseconds of CLOCK_MONOTONIC.
inline int64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

// A point in time after which waiting is an error.
class Deadline {
 public:
  static Deadline after_s(double seconds) { return Deadline(now_ns() + static_cast<int64_t>(seconds * 1e9)); }
  bool passed() const { return now_ns() >= at_ns_; }
  int64_t left_ns() const {
    const int64_t left = at_ns_ - now_ns();
    return left > 0 ? left : 0;
  }
  // For poll(): milliseconds, rounded up, at most `limit_ms`.
  int left_ms(int limit_ms) const {
    const int64_t ms = (left_ns() + 999'999) / 1'000'000;
    return ms < limit_ms ? static_cast<int>(ms) : limit_ms;
  }
  timespec at() const { return {at_ns_ / 1'000'000'000, at_ns_ % 1'000'000'000}; }  // by CLOCK_MONOTONIC

 private:
  explicit Deadline(int64_t at_ns) : at_ns_(at_ns) {}
  int64_t at_ns_;
};

}  // namespace tutti

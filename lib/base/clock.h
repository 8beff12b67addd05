// clock: monotonic time, deadlines, and the processor's own counter.
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

// A counter that runs at a steady rate. To read it takes one instruction, and a fraction of the time of now_ns().
inline uint64_t ticks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  uint64_t count;
  asm volatile("mrs %0, cntvct_el0" : "=r"(count));
  return count;
#else
  return static_cast<uint64_t>(now_ns());
#endif
}

// Both clocks at one moment. Two of them tell the time of any count.
struct TickTime {
  uint64_t count = ticks();
  int64_t ns = now_ns();
};
// On processors whose counters do not agree, or do not run steadily, it is a guess.
inline int64_t ns_of(uint64_t count, const TickTime& earlier, const TickTime& later) {
  const double per_tick = later.count > earlier.count ? static_cast<double>(later.ns - earlier.ns) / static_cast<double>(later.count - earlier.count) : 0;
  return later.ns - static_cast<int64_t>(static_cast<double>(static_cast<int64_t>(later.count - count)) * per_tick);
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

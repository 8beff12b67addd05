// distance: see distance.h.
#include "transports/shm/distance.h"

#include <algorithm>
#include <vector>

#include "lib/base/clock.h"

namespace tutti::shm {
namespace {

constexpr size_t kTrialBytes = 64 << 10;
constexpr int kTrials = 5;
constexpr double kWithRead = 1.35;  // of a line through the caches: the write and the read, by the write alone
constexpr double kStay = 0.85;  // a peer that is far stays so until its cost is below this share of the limit

// Of a KiB that is written past the caches and then read from memory. Measured once a process, which takes a tenth of a millisecond.
double memory_ns_per_kib() {
  static const double measured = [] {
    std::vector<std::byte> memory(kTrialBytes + 64), source(kTrialBytes, std::byte{1});
    int64_t best = INT64_MAX;
    uint64_t sum = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
      const int64_t begin = now_ns();
      write(memory.data(), source.data(), kTrialBytes, Way::Streamed);
      for (size_t at = 0; at < kTrialBytes; at += 8) {
        uint64_t word;
        __builtin_memcpy(&word, memory.data() + at, 8);
        sum += word;
      }
      asm volatile("" : : "r"(sum));
      best = std::min(best, now_ns() - begin);
    }
    return static_cast<double>(best) / (kTrialBytes / 1024);
  }();
  return measured;
}

}  // namespace

Distance::Distance(std::optional<Way> fixed) : fixed_(fixed.value_or(Way::Ahead)), far_ns_per_kib_(fixed ? 0 : memory_ns_per_kib() / kWithRead) {}

void Distance::took(size_t bytes, int64_t ns) {
  last_[known_++ % last_.size()] = static_cast<double>(ns) * 1024 / static_cast<double>(bytes);
  until_due_ = known_ < last_.size() ? kOften : kSeldom;
  if (known_ < last_.size()) return;
  std::array<double, 3> sorted = last_;
  std::sort(sorted.begin(), sorted.end());
  far_ = sorted[1] > far_ns_per_kib_ * (far_ ? kStay : 1);
}

}  // namespace tutti::shm

// dice: random choices that a seed repeats.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

#include "tests/harness/values.h"

namespace tutti::test {

class Dice {
 public:
  // purpose: several users of one seed draw different numbers.
  Dice(uint64_t seed, uint64_t purpose) : seed_(hash(seed, 0xca3a, purpose)) {}
  uint64_t next() { return hash(seed_, ++drawn_); }
  uint64_t below(uint64_t limit) { return next() % limit; }
  bool chance(unsigned percent) { return below(100) < percent; }
  int between(int first, int last) { return first + static_cast<int>(below(static_cast<uint64_t>(last - first + 1))); }
  // Between first and last; each order of magnitude is equally likely.
  int64_t spread(int64_t first, int64_t last) {
    const double share = static_cast<double>(below(1 << 20)) / (1 << 20);
    return static_cast<int64_t>(static_cast<double>(first) * std::pow(static_cast<double>(last) / static_cast<double>(first), share));
  }
  template <typename T>
  const T& one_of(const std::vector<T>& list) {
    return list[below(list.size())];
  }

 private:
  const uint64_t seed_;
  uint64_t drawn_ = 0;
};

}  // namespace tutti::test

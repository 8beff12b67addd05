// loads: how much each of many rows carried in each slot of time, for pictures: bytes of links, busy seconds of ranks.
//
// The number of slots is fixed. When time goes past the last slot, two slots become one, and all are twice as wide.
#pragma once
#include <vector>

#include "lib/sched/flows.h"

namespace tutti {

class Loads {
 public:
  Loads() = default;
  // REQUIRES: slots is even and not 0.
  Loads(size_t rows, size_t slots) : slots_(slots), amounts_(rows * slots) {}

  // Adds the amount evenly over [from, to). REQUIRES: 0 <= from; to is finite.
  void add(size_t row, double amount, Picoseconds from, Picoseconds to);

  size_t slots() const { return slots_; }
  double slot_s() const { return static_cast<double>(width_) * 1e-12; }
  double at(size_t row, size_t slot) const { return amounts_[row * slots_ + slot]; }

 private:
  void widen();

  size_t slots_ = 0;
  Picoseconds width_ = 1000;  // of a slot
  std::vector<double> amounts_;
};

}  // namespace tutti

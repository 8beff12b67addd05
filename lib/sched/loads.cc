// loads: see loads.h.
#include "lib/sched/loads.h"

#include <algorithm>
#include <cassert>

namespace tutti {

void Loads::add(size_t row, double amount, Picoseconds from, Picoseconds to) {
  assert(slots_ > 0 && from >= 0 && to < kNever);
  if (from >= to) return;
  while (to > width_ * static_cast<Picoseconds>(slots_)) widen();
  for (Picoseconds begin = from; begin < to;) {
    const Picoseconds slot = begin / width_, end = std::min(to, (slot + 1) * width_);
    amounts_[row * slots_ + static_cast<size_t>(slot)] += amount * static_cast<double>(end - begin) / static_cast<double>(to - from);
    begin = end;
  }
}

void Loads::widen() {
  width_ *= 2;
  for (size_t first = 0; first < amounts_.size(); first += slots_)
    for (size_t slot = 0; slot < slots_; ++slot)
      amounts_[first + slot] = slot < slots_ / 2 ? amounts_[first + 2 * slot] + amounts_[first + 2 * slot + 1] : 0;
}

}  // namespace tutti

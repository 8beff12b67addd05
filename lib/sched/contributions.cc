// contributions: merging of sorted interval lists; touching intervals become one, so sets of neighbours stay one interval.
#include "lib/sched/contributions.h"

#include <algorithm>

namespace tutti {

Contributions::Contributions(int ranks) : ranks_(static_cast<uint32_t>(ranks)) {
  for (uint32_t rank = 0; rank < ranks_; ++rank) {
    intervals_.push_back({rank, rank + 1});
    sets_.push_back({rank, 1});
  }
}

Contributions::Set Contributions::unite(Set a, Set b) {
  if (a > b) std::swap(a, b);
  const auto [known, fresh] = unions_.try_emplace(uint64_t{a} << 32 | b, static_cast<Set>(sets_.size()));
  if (!fresh) return known->second;
  const uint32_t first = static_cast<uint32_t>(intervals_.size());
  const Span x = sets_[a], y = sets_[b];
  for (uint32_t i = 0, j = 0; i < x.count || j < y.count;) {
    const bool take_x = j == y.count || (i < x.count && intervals_[x.first + i].begin < intervals_[y.first + j].begin);
    const Interval next = intervals_[take_x ? x.first + i++ : y.first + j++];
    if (intervals_.size() == first || next.begin > intervals_.back().end) {
      intervals_.push_back(next);
    } else if (next.begin == intervals_.back().end) {
      intervals_.back().end = next.end;
    } else {
      intervals_.resize(first);
      return known->second = kOverlap;
    }
  }
  sets_.push_back({first, static_cast<uint32_t>(intervals_.size()) - first});
  return known->second;
}

bool Contributions::is_all(Set set) const {
  return missing(set) < 0;
}

int Contributions::missing(Set set) const {
  const Interval& low = intervals_[sets_[set].first];
  if (low.begin > 0) return 0;
  return low.end == ranks_ ? -1 : static_cast<int>(low.end);
}

int Contributions::shared(Set a, Set b) const {
  for (uint32_t i = 0; i < sets_[a].count; ++i)
    for (uint32_t j = 0; j < sets_[b].count; ++j) {
      const Interval &x = intervals_[sets_[a].first + i], &y = intervals_[sets_[b].first + j];
      if (std::max(x.begin, y.begin) < std::min(x.end, y.end)) return static_cast<int>(std::max(x.begin, y.begin));
    }
  return -1;
}

}  // namespace tutti

// contributions: exact sets of ranks, as numbers. Small enough to keep one per chunk of every rank.
//
// A set is a sorted list of intervals in one arena. The union of two sets is computed once and remembered, because all
// chunks of a schedule go through the same unions.
#pragma once
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace tutti {

class Contributions {
 public:
  using Set = uint32_t;
  static constexpr Set kOverlap = ~0u;

  // Set r is {r} for every rank.
  explicit Contributions(int ranks);
  // The union of two disjoint sets; kOverlap if a rank is in both.
  Set unite(Set a, Set b);
  bool is_all(Set set) const;
  // The lowest rank that is in both; -1: none.
  int shared(Set a, Set b) const;
  // The lowest rank that is not in the set; -1: none.
  int missing(Set set) const;

 private:
  struct Interval {
    uint32_t begin, end;
  };
  struct Span {
    uint32_t first, count;
  };

  uint32_t ranks_;
  std::vector<Interval> intervals_;
  std::vector<Span> sets_;
  std::unordered_map<uint64_t, Set> unions_;
};

}  // namespace tutti

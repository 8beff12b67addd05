// clocks: how far the clock of rank 0's machine is ahead of this rank's, found out by all-gathers.
//
// In every round each rank sends its time. Rank 0 takes its time after it has received all of the round before, so after this rank sent that,
// and before this rank has received the round. Every round bounds the difference from both sides, and the narrowest bounds are kept:
//
//   this rank   --sent 1------------------sent 2---------come 2-->
//   rank 0      ---------------come 1--T--------------------------->    sent 1 + offset < T < come 2 + offset
#pragma once
#include <cstdint>
#include <optional>

namespace tutti {

struct ClockOffset {
  int64_t ns = 0;              // to add to this rank's time, to have rank 0's
  int64_t uncertainty_ns = 0;  // either way
};

class ClockComparison {
 public:
  static constexpr int kRounds = 6;
  // One round: when this rank sent, when it had received all, and the time that rank 0 sent.
  void add(int64_t sent_ns, int64_t come_ns, int64_t theirs_ns);
  // After two rounds at least.
  ClockOffset result() const;

 private:
  std::optional<int64_t> sent_before_, least_, most_;
};

}  // namespace tutti

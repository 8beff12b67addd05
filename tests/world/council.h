// council: the control planes of a world's communicator. What one rank tells reaches the others some steps later, as the seed says.
#pragma once
#include <algorithm>
#include <optional>
#include <vector>

#include "lib/boot/inquiry.h"
#include "lib/comm/underway.h"
#include "tests/harness/dice.h"

namespace tutti::test::world {

// The control planes of all ranks. A cause reaches each rank some steps after it was told.
struct Council {
  Dice& dice;
  const uint64_t& step;
  std::optional<Cause> first;
  std::vector<uint64_t> due;            // by rank: the step in which it hears
  std::vector<const Underway*> ranks;
  std::optional<Inquiry> asked;         // answered before the next step: a rank that asks is in the middle of something

  void spread(const Cause& cause) {
    if (first) return;
    first = cause;
    for (uint64_t& when : due) when = step + dice.below(200);
  }
  // Some rank has yet to hear.
  bool still_to_come() const { return first && step <= *std::max_element(due.begin(), due.end()); }
  void answer() {
    if (!asked) return;
    std::vector<Answer> answers;
    for (const Underway* rank : ranks) answers.push_back({Answer::Kind::Given, rank->activity(asked->asks_for())});
    if (const std::optional<uint64_t> stuck = stuck_collective(*asked, answers)) {
      asked->stuck = *stuck;
      return;
    }
    spread(conclude(*asked, answers));
    asked.reset();
  }
};

class WorldControl final : public Control {
 public:
  explicit WorldControl(Council& council) : council_(council) {}
  uint32_t number() const override { return 1; }
  Result<std::vector<std::string>> all_gather(const std::string&, Deadline, const std::string&) override {
    return fail(Code::InternalError, "a world gathers nothing");
  }
  void abort(const Cause& cause) override { council_.spread(cause); }
  void report_timeout(uint64_t entered, const std::vector<int>& suspects, const std::string& text) override {
    if (!council_.asked) council_.asked = Inquiry{entered, suspects, text};
  }
  void report_mismatch(uint64_t number, const std::string& which, const Cause& seen) override {
    if (council_.asked) return;
    Inquiry inquiry{0, {}, which};
    inquiry.number = number;
    inquiry.seen = seen;
    council_.asked = inquiry;
  }
  Result<Generation> regenerate(Deadline) override { return fail(Code::InternalError, "a world has no next generation"); }
  std::optional<Departure> leave(const std::optional<Departure>&) override { return {}; }

 private:
  Council& council_;
};

}  // namespace tutti::test::world

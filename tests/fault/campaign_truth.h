// campaign_truth: what really happened in a world. The judge compares error texts with it.
#pragma once
#include <initializer_list>

#include "tests/fault/campaign_blame.h"
#include "tests/fault/campaign_run.h"

namespace tutti::test::campaign {

class Truth {
 public:
  Truth(const World& world, const Record& record) : world_(world), record_(record), log_(*record.log) {}

  // Whether what the event's error text says is true.
  bool is_so(const Blame& blame, const Event& event) const;
  // Whether a fault of one of these kinds was carried out by `when`; happened_to(): and hit this rank.
  bool happened(std::initializer_list<Fate> fates, int64_t when) const;
  bool happened_to(int rank, std::initializer_list<Fate> fates, int64_t when) const;
  // When a fault ended the process; 1: it ended otherwise and badly, at an unknown time; 0: neither.
  int64_t died_at(int process) const;
  int64_t maker_died_at() const;
  // Whether this rank had begun to leave the communicator, or one of its threads to abort it, by `when`.
  bool had_left(int comm, int rank, int64_t when) const;
  // Whether the rank was past the step that makes this communicator.
  bool had_joined(int comm, int rank) const;

 private:
  // The ranks that a number in an error text may mean: in this communicator, in those it is split from, or in one that is split from it.
  std::vector<int> meant(const Event& event, int number) const;
  bool is_so(Blame::What what, int rank, const Event& event) const;
  bool lags(int rank, const Event& event) const;
  bool has_failed(int rank, int last_step) const;

  const World& world_;
  const Record& record_;
  const Log& log_;
};

}  // namespace tutti::test::campaign

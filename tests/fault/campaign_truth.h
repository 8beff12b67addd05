// campaign_truth: what really happened in a world, to hold an error's sentence against.
#pragma once
#include <vector>

#include "tests/fault/campaign_blame.h"
#include "tests/fault/campaign_run.h"

namespace tutti::test::campaign {

class Truth {
 public:
  Truth(const World& world, const Record& record) : world_(world), record_(record), log_(*record.log) {}

  // Whether what a sentence of this event says is so.
  bool is_so(const Blame& blame, const Event& event) const;
  // Whether a fault was carried out by `when`, of one of these kinds; on a rank; in a process.
  bool happened(std::initializer_list<Fate> fates, int64_t when) const;
  bool happened_to(int rank, std::initializer_list<Fate> fates, int64_t when) const;
  // When a process ended in the midst of it all; 0: it did not.
  int64_t died_at(int process) const;
  int64_t maker_died_at() const;
  // Whether this rank had ended the communicator before `when`.
  bool had_left(int comm, int rank, int64_t when) const;
  // Whether another thread than the driver's has aborted one of its communicators before `when`.
  bool aborted_beside(int driver, int64_t when) const;
  // Whether it was past making this communicator.
  bool had_joined(int comm, int rank) const;

 private:
  // The ranks that a number in a sentence may mean: by this communicator, and by those it is split from.
  std::vector<int> meant(int comm, int number) const;
  bool is_so(Blame::What what, int rank, const Event& event) const;
  bool lags(int rank, const Event& event) const;
  bool has_event(int rank, Event::What what, int comm, int64_t before) const;

  const World& world_;
  const Record& record_;
  const Log& log_;
};

}  // namespace tutti::test::campaign

// campaign_truth: what really happened in a world, to hold an error's sentence against.
#pragma once
#include <initializer_list>

#include "tests/fault/campaign_blame.h"
#include "tests/fault/campaign_run.h"

namespace tutti::test::campaign {

class Truth {
 public:
  Truth(const World& world, const Record& record) : world_(world), record_(record), log_(*record.log) {}

  // Whether what a sentence of this event says is so.
  bool is_so(const Blame& blame, const Event& event) const;
  // Whether a fault of one of these kinds was carried out by `when`; of those that hit this rank.
  bool happened(std::initializer_list<Fate> fates, int64_t when) const;
  bool happened_to(int rank, std::initializer_list<Fate> fates, int64_t when) const;
  // When a process ended by a fault; 1: by itself and badly, at a time that is not known; 0: neither.
  int64_t died_at(int process) const;
  int64_t maker_died_at() const;
  // Whether by `when` this rank had begun to leave the communicator, or a thread of its had begun to abort it.
  bool had_left(int comm, int rank, int64_t when) const;
  // Whether it was past making this communicator.
  bool had_joined(int comm, int rank) const;

 private:
  // The ranks that a number in a sentence may mean: by this communicator, by those it is split from, by one that is split from it.
  std::vector<int> meant(const Event& event, int number) const;
  bool is_so(Blame::What what, int rank, const Event& event) const;
  bool lags(int rank, const Event& event) const;
  bool has_failed(int rank, int last_step) const;

  const World& world_;
  const Record& record_;
  const Log& log_;
};

}  // namespace tutti::test::campaign

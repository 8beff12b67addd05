// board: ranks as forked processes of one host, and the memory in which they leave their figures for the parent.
//
// Made before the fork. Each rank writes its own values only; the parent reads them when all have ended. Who waits at the
// barrier sleeps, so that ranks which share a core do not disturb what is measured next.
#pragma once
#include <pthread.h>
#include <time.h>

#include <functional>
#include <string>
#include <vector>

#include "tutti/tutti.h"

namespace tutti::perf {

class Board {
 public:
  // Throws Failure when there is no memory.
  Board(int ranks, size_t values_per_rank);
  ~Board();
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  int ranks() const { return ranks_; }
  double& value(int rank, size_t index) const { return values_[static_cast<size_t>(rank) * values_per_rank_ + index]; }

  // In the ranks, collective:
  void barrier() const { pthread_barrier_wait(&shared_->barrier); }
  // The same id for all, made by rank 0.
  tuttiUniqueId make_id(int rank) const;

 private:
  struct Shared {
    pthread_barrier_t barrier;
    tuttiUniqueId id;
  };
  const int ranks_;
  const size_t values_per_rank_;
  size_t bytes_;
  Shared* shared_;
  double* values_;
};

// Forks the board's ranks, pins rank i to core i if asked to, and returns the exit code of the first that fails. A Failure
// that leaves `body` is printed. REQUIRES: no threads yet.
int run_ranks(const std::string& program, const Board& board, bool bind, const std::function<void(int rank)>& body);

double median(std::vector<double> values);

// Seconds of a clock; CLOCK_MONOTONIC is the same in all processes of a host.
inline double seconds_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace tutti::perf

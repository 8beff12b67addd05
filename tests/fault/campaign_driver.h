// campaign_driver: one thread of a world: it goes through the steps for its ranks until they are over or a call fails, and then ends all
// it has. What it sees goes into the log; what it means is for the verdict.
//
// The driver's thread alone makes calls on its communicators. Others may ask for a handle, to abort it, and for the step it is in.
#pragma once
#include <pthread.h>

#include <array>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "tests/fault/campaign_log.h"
#include "tests/harness/cases.h"

namespace tutti::test::campaign {

class Driver {
 public:
  Driver(const World& world, Log& log, int index);
  // The whole of it, in the caller's thread.
  void live();

  // ---- for other threads
  const DriverPlan& plan() const { return plan_; }
  tuttiComm_t handle(int comm, int rank) const { return handles_[static_cast<size_t>(comm)][static_cast<size_t>(rank)].load(); }
  // Waits until it has come to a step. False: it has ended before that.
  bool wait_step(int step);
  bool ended();
  // A signal to its thread, if that still runs.
  void signal(int number);

 private:
  // While one is alive the thread is in a call of the library.
  class Inside {
   public:
    Inside(Driver& driver, const std::string& call);
    ~Inside() { driver_.leave(); }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    Driver& driver_;
  };
  // A call on one communicator by one rank.
  struct Piece {
    std::unique_ptr<Part> part;
    int comm, rank;
    bool odd;  // not what the others call: its result is not looked at
    const Case* call;
  };
  using Pieces = std::vector<Piece>;

  void enter_step(int step);
  bool run(int index);
  void begin_faults(int step);
  void end_faults(int step);
  bool abort_instead(int step);
  // The steps. False: something has failed, or it is over.
  bool init(const Step& step);
  bool init_blocking(const Step& step, const tuttiUniqueId& id);
  bool init_in_background(const Step& step, const tuttiUniqueId& id);
  bool split(const Step& step);
  bool finish(const Step& step);
  bool calls(const Step& step, int index);
  bool lone_message(const Fault& fault, const Step& step);
  // Their parts.
  bool get_id(int comm, tuttiUniqueId* id);
  Pieces pieces_of(const Step& step, int index);
  void issue(const Step& step, Pieces& pieces);
  void drain();
  bool check(Pieces& pieces);
  // The end.
  void wind_up();
  void close_groups();
  void end_one(int comm, int rank, uint64_t way);

  std::vector<int> ranks_in(int comm) const;
  const Fault* mismatch_in(int index, int rank) const;
  std::pair<int, int> failed_of(const Pieces& pieces) const;
  tuttiStream_t stream(int index);
  void leave();
  void hold(int comm, int rank, tuttiComm_t handle) { handles_[static_cast<size_t>(comm)][static_cast<size_t>(rank)] = handle; }
  void failed(int comm, int rank, tuttiResult_t result, const std::string& sentence);
  void note(Event::What what, int comm, int rank, tuttiResult_t result, const std::string& text);

  const World& world_;
  Log& log_;
  ThreadLog& own_;
  const int index_;
  const DriverPlan& plan_;
  std::array<std::array<std::atomic<tuttiComm_t>, kMostRanks>, kMostComms> handles_{};
  std::map<int, tuttiStream_t> streams_;
  Pieces pending_;  // issued and not waited for; after a failure, what had been issued
  int step_index_ = 0;
  int64_t begin_ns_ = 0, end_ns_ = 0;  // of the last call
  tuttiResult_t failure_ = tuttiSuccess;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  int at_step_ = -1;
  bool ended_ = false;
  pthread_t thread_{};
};

}  // namespace tutti::test::campaign

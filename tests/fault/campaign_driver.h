// campaign_driver: a thread of a world. It makes the calls of its ranks step by step until the end, or until a call fails. Then it ends its
// communicators and streams. It logs what it sees; campaign_verdict judges the log.
//
// Only the driver's thread makes calls on its communicators. Other threads may ask for a handle, in order to abort it, and for the step.
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
  // Does all of that in the caller's thread.
  void live();

  // ---- for other threads
  const DriverPlan& plan() const { return plan_; }
  tuttiComm_t handle(int comm, int rank) const { return handles_[static_cast<size_t>(comm)][static_cast<size_t>(rank)].load(); }
  // Waits until the driver is at this step or a later one. False: it has ended before.
  bool wait_step(int step);
  bool ended();
  // Sends a signal to the driver's thread, if that still runs.
  void signal(int number);

 private:
  // As long as one exists, the thread is in a call of the library.
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
    bool odd;  // a call that the other ranks do not make: its result is not checked
    const Case* call;
  };
  using Pieces = std::vector<Piece>;

  void enter_step(int step);
  bool run(int index);
  void begin_faults(int step);
  void end_faults(int step);
  bool abort_instead(int step);
  // The kinds of steps. False: a call has failed.
  bool init(const Step& step);
  bool init_blocking(const Step& step, const tuttiUniqueId& id);
  bool init_in_background(const Step& step, const tuttiUniqueId& id);
  // Waits until nothing goes on in the background. Returns how it ended.
  std::pair<tuttiResult_t, std::string> await(int comm, int rank);
  bool split(const Step& step);
  bool finish(const Step& step);
  bool calls(const Step& step, int index);
  bool lone_message(const Fault& fault, const Step& step);
  // Parts of steps.
  bool get_id(int comm, tuttiUniqueId* id);
  Pieces pieces_of(const Step& step, int index);
  void issue(const Step& step, Pieces& pieces);
  void start_group();
  void drain();
  bool check(Pieces& pieces);
  // After the last step.
  void wind_up();
  void close_groups();
  void end_one(int comm, int rank, uint64_t way);

  std::vector<int> ranks_in(int comm) const;
  const Fault* mismatch_in(int index, int rank) const;
  std::pair<int, int> failed_of(const Pieces& pieces, const std::string& sentence) const;
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
  Pieces pending_;  // issued, but not waited for yet; after a failure: all that were issued
  int step_index_ = 0;
  int64_t begin_ns_ = 0, end_ns_ = 0;  // of the last call
  tuttiResult_t failure_ = tuttiSuccess;

  std::mutex mutex_;  // guards the members below
  std::condition_variable changed_;
  int at_step_ = -1;
  bool ended_ = false;
  pthread_t thread_{};
};

}  // namespace tutti::test::campaign

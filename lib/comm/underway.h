// underway: the calls that a rank is running on a communicator, and what it knows of those before.
//
// One batch at a time, in one thread. Its sends and receives run side by side, and beside them its collectives, one after the other. What the
// rank is doing is also written down for the control thread, which asks when another rank has waited too long.
#pragma once
#include <atomic>
#include <functional>
#include <span>
#include <vector>

#include "lib/comm/prepared.h"
#include "lib/comm/recorder.h"

namespace tutti {

class Tracer;

class Underway {
 public:
  // on_end: called when a batch has ended because the communicator has failed.
  Underway(const CommOptions& options, const Settings& settings, const Links& links, Life& life, const Ops& ops,
           std::function<void()> on_end = {});
  // When the links are there, before any call. tracer: hears of all calls; null: there is none.
  Status open(Tracer* tracer = nullptr);

  // Starts the calls of one batch (which stay the caller's); advance() until Done or Failed; then status() is how it ended.
  void load(std::span<const Call> calls);
  Progress advance(bool& moved);
  const Status& status() const { return status_; }
  // Ends the batch, and the communicator, after an exception in the middle of something: out of memory.
  void abandon();
  // load(), then advance() to the end in this thread.
  Status run(std::span<const Call> calls);

  // The next batch is one of this stream; 0: of stream NULL.
  void set_stream(uint32_t stream, std::span<const Call> calls);
  // The last calls, by any thread.
  std::vector<PastCall> last_calls() const;

  // For the waiting loop, drive.cc.
  std::span<const std::unique_ptr<Transport>> transports() const { return transports_; }
  bool crowded() const { return links_.crowded; }
  int64_t timeout_ns() const { return static_cast<int64_t>(options_.timeout_s * 1e9); }
  int64_t spin_ns() const { return spin_ns_; }
  // Before this rank sleeps: writes down what it waits for, so that activity() can say it.
  void note_waiting();
  // Nothing has moved for the communicator's timeout: asks all ranks, once, who is to blame. The abort that follows ends the batch.
  void report_timeout();
  // No answer came either: ends the batch with what is known here.
  void give_up();

  // A call of all ranks that is none of a batch: CommSplit.
  void note_split(bool in_it) { splits_.store(in_it, std::memory_order_relaxed); }
  // What this rank is doing, and what it called as collective `number` (0: none). Any thread; while calls go on, a moment old.
  Activity activity(uint64_t number) const;
  // What this rank has done, when no call is under way.
  Departure departure() const;

 private:
  // With and without a tracer: two copies of the same code, so that the one without costs nothing.
  template <bool kTraced>
  void load_as(std::span<const Call> calls);
  template <bool kTraced>
  Progress advance_as(bool& moved);
  template <bool kTraced>
  Status run_as(std::span<const Call> calls);
  void load_traced(std::span<const Call> calls);
  Progress advance_traced(bool& moved);
  Status run_traced(std::span<const Call> calls);
  template <bool kTraced>
  bool start(const Call& call);  // false: it could not be started, status_ says why
  bool fail_start();
  uint64_t count_in(const Call& call, PreparedCall& one);
  uint64_t count_single(const Call& call, PreparedCall& one);
  template <bool kTraced>
  bool start_next_collective();
  void end(Status status);
  Progress advance_failed();
  // A message of another call has come. The control plane asks all ranks who is to blame, and the answer will end the batch.
  bool disputed() const { return status_.code() == Code::InProgress; }

  // What went wrong, in sentences: report.cc.
  Progress fail_execution(const PreparedCall& call);
  Progress fail_mismatch(const Execution& execution);
  void fail_flush(const Transport& transport);
  std::string mismatch_text(const Execution& execution, uint64_t number, uint64_t their_number) const;
  std::string collective_text(uint64_t number) const;
  std::string singles_text() const;
  std::string what_runs() const;

  const CommOptions& options_;
  const Links& links_;
  Life& life_;
  const std::function<void()> on_end_;
  PreparedCalls prepared_;
  std::span<const std::unique_ptr<Transport>> transports_;  // of links_
  static constexpr uint32_t kMaxTilesInFlight = 16;
  const uint32_t window_;
  const int64_t spin_ns_;
  Tracer* tracer_ = nullptr;
  int inline_polls_ = 0;

  std::span<const Call> calls_;
  size_t next_call_ = 0;  // next collective to start
  bool collective_running_ = false;
  std::vector<PreparedCall*> running_;
  Status status_;
  bool timeout_reported_ = false;

  std::vector<LaneCount> lanes_;
  struct SingleCount {
    uint32_t sends = 0, recvs = 0;
  };
  std::vector<SingleCount> singles_;  // by peer
  Recorder history_;

  // For the control thread.
  std::atomic<uint64_t> entered_{0}, finished_{0};  // collectives
  // What this rank waits for. 0: not known. Else kWaits and a peer. kSingle: it waits in a Send (kSends) or Recv. kAlone: that is the only
  // operation under way.
  static constexpr uint32_t kWaits = 1u << 31, kSingle = 1u << 30, kSends = 1u << 29, kAlone = 1u << 28, kPeer = kAlone - 1;
  std::atomic<uint32_t> wait_{0};
  std::atomic<uint64_t> wait_signature_{0};
  std::atomic<bool> splits_{false};
};

// Runs the loaded batches of several communicators to their end in this thread; changes their order. (drive.cc)
void drive(std::span<Underway*> batches);

}  // namespace tutti

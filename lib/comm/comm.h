// comm: one rank of a communicator: its peers, its plans, the calls under way, and why it failed if it did.
//
// Threads: one thread at a time runs calls (turns order them: a call on stream NULL waits for queued ones); the control
// thread only reports failures; abort() may come from anywhere. A failure is recorded once, the first cause wins, and every
// call from then on returns it.
#pragma once
#include <atomic>
#include <deque>
#include <mutex>

#include "lib/base/condition.h"
#include "lib/base/thread.h"
#include "lib/boot/boot.h"
#include "lib/comm/call.h"
#include "lib/comm/plans.h"
#include "lib/comm/seats.h"
#include "lib/exec/execution.h"

namespace tutti {

struct CommOptions {
  UniqueId id{};
  int rank = 0, ranks = 1;
  bool alone_by_id = false;  // the only rank, but of an id, whose rendezvous waits for it
  bool by_init_all = false;  // made by CommInitAll: one thread may drive all ranks
  bool split = false;        // made by CommSplit
  double timeout_s = 0;      // 0: TUTTI_TIMEOUT
  std::string name;
};

class Comm {
 public:
  Comm(CommOptions options, Settings settings);
  ~Comm();
  // Whether the settings name only what exists. Before anything is made from them.
  static Status check(const Settings& settings);
  Comm(const Comm&) = delete;
  Comm& operator=(const Comm&) = delete;

  // Joins the other ranks; blocks. Ends early when abort() is called.
  Status init();
  // Runs init() in a thread of this object; state() tells.
  Status init_in_background();
  // InProgress until init() has ended, then the communicator's first failure, or success. Any thread.
  Status state() const;

  int rank() const { return options_.rank; }
  int ranks() const { return options_.ranks; }
  const UniqueId& id() const { return options_.id; }
  const Settings& settings() const { return settings_; }
  double timeout_s() const { return options_.timeout_s; }
  const std::string& name() const { return options_.name; }
  // "communicator 'NAME'", or "communicator 3": the number that rank 0's process gave it.
  std::string title() const;

  // Whether calls can be made: initialized, not failed, not finalized. If not, refusal() says why.
  bool ready() const {
    return initialized_.load(std::memory_order_acquire) && !aborted() && !finalized_.load(std::memory_order_relaxed);
  }
  Status refusal() const;

  // Turns: calls run in the order in which their tickets were taken, one batch at a time.
  // Tickets are taken by the one thread that makes calls, so that plain stores do.
  uint64_t take_ticket() {
    const uint64_t ticket = tickets_.load(std::memory_order_relaxed);
    tickets_.store(ticket + 1, std::memory_order_release);
    return ticket;
  }
  void wait_turn(uint64_t ticket) {
    // Not "equal": who waits for all before a ticket may find later ones over, too.
    if (turn_.load(std::memory_order_acquire) < ticket) [[unlikely]]
      wait_turn_blocking(ticket);
  }
  // Only the thread whose turn it is changes turn_.
  void end_turn() { turn_.store(turn_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }
  void end_turn_and_tell();  // wakes who waits for a turn; from streams, where that is likely
  void wait_idle();

  // Starts the calls of one batch (which stay the caller's); advance() until Done or Failed; then batch_status() is how it
  // ended.
  void load(std::span<const Call> calls);
  Progress advance(bool& moved);
  const Status& batch_status() const { return batch_status_; }
  // load(), then advance() to the end in this thread.
  Status run(std::span<const Call> calls);
  // Ends the batch, and the communicator, after an exception in the middle of something: out of memory.
  void abandon();
  // run() when their turn has come.
  Status run_in_turn(std::span<const Call> calls);

  // For the waiting loop (drive.cc).
  bool aborted() const { return aborted_.load(std::memory_order_acquire); }
  bool crowded() const { return crowded_; }
  std::span<const std::unique_ptr<Transport>> transports() const { return transports_; }
  // Called before this rank sleeps: writes down what it waits for, so that activity() can say it.
  void note_waiting();
  // Nothing has moved for timeout_s(): asks all ranks, once, who is to blame. The abort that follows ends the batch.
  void report_timeout();
  // No answer came either: ends the batch under way with what is known here.
  void give_up();
  // Records a failure, unless there is one already, and tells all ranks. If there is no memory for it, records "out of memory".
  void fail_all(Code code, int guilty, const std::string& text) noexcept;

  // Collective: the new communicator's options for this rank; ranks == 0 if it has none.
  Result<CommOptions> split(int color, int key);
  // Called on the parent while a child of a split joins; null: the child no longer joins. A failure of the parent ends the child's init(), as
  // long as the child's ranks have not met. After that the child notices deaths itself.
  void set_joining_child(Comm* child);
  // Whether this rank has met the others, so that they notice how it ends. After init().
  bool has_joined() const { return control_ != nullptr; }
  // Ends init() with a failure of the parent, or of another rank of this process. Does nothing once the ranks have met. Any thread.
  void end_joining(const Status& failure) noexcept;
  // Leaves the other ranks. Init must have ended. Errors: messages that others will miss, messages that nobody received, ranks that made
  // another number of calls.
  Status finalize() noexcept;
  // Fails everything here ("aborted") and on the other ranks. Any thread.
  void abort() noexcept;

  // Ops made by the user.
  Result<int> add_op(const void* scalar, Type type, bool read_now);
  Status remove_op(int op);
  Status check_op(int op, Type type) const;
  // Registered buffers.
  uint64_t add_region(void* data, size_t bytes);
  bool remove_region(uint64_t handle);

 private:
  // finalize(), but it may throw.
  Status leave();

  // An execution, and the call that it was last made ready for. The same call once more, with other addresses at most, needs no
  // preparation; programs often go round a few calls.
  struct Runner {
    Execution execution;
    bool repeatable = false;  // the rest is all that the call depends on
    CallKind kind{};
    bool sends = false;
    Type type{};
    int op = 0, root = 0;
    size_t count = 0;
    uintptr_t input_offset = 0, output_offset = 0;  // from the operation's addresses to the call's
    bool may_be_in_place = false, in_place = false;
    uint64_t may_be_mapped = 0, mapped = 0;         // the bit of Comm::mapped_ that matters to it, and what it was for the plan
    bool runs = false;
    uint64_t started = 0;    // when it was last, as Comm::starts_ counts
    Runner* next = nullptr;  // what was started after it then

    // Whether this is such a call. If so, the execution can be started.
    bool repeats(const Call& call, uint64_t now_mapped);
  };
  struct UserOp {
    bool alive;
    Type type;
    Scale scale;
    const void* scalar;  // read when a call runs; null: `scale` is the value
  };

  // Until an init() that runs in another thread is over: before control_ is touched.
  void wait_init();
  Status connect();
  Result<std::vector<std::string>> everyones(const std::string& mine, Deadline deadline);
  std::string introduction(const Seats& seats, const Status& placed) const;
  Status open_transport(const TransportKind& kind, const Seats& seats, std::unique_ptr<Transport>& transport, std::string& address);
  Status connect_transports(Seats& seats, const Status& placed, Deadline deadline);
  Status meet(const std::vector<std::string>& introductions, Seats& seats, Deadline deadline);
  bool choose_routes();
  std::string routes_text() const;
  Status unreachable(const std::string& absent) const;
  std::optional<HostLink> host_link(const Seats& seats) const;
  Result<std::vector<std::string>> agree(const Status& mine, const std::string& say, Deadline deadline);
  void on_abort(const Cause& cause) noexcept { record(Status(cause.code, cause.text)); }
  void record(const Status& failure) noexcept;
  Activity activity(uint64_t number) const;
  Status first_failure() const;
  Status differing(const Departure& mine, const Departure& other) const;
  std::string collective_text(uint64_t number) const;
  Progress fail_mismatch(const Execution& execution);
  std::string mismatch_text(const Execution& execution, uint64_t number, uint64_t their_number) const;
  std::string singles_text() const;
  Status in_vain(const std::vector<Untaken>& untaken) const;

  void wait_turn_blocking(uint64_t ticket);
  Progress advance_aborted();
  // A message of another call has come. The hub asks all ranks who is to blame, and its answer will end the batch.
  bool disputed() const { return batch_status_.code() == Code::InProgress; }
  Status find_runner(const Call& call, Runner*& found);  // one that does not run, made ready for the call
  Runner& add_runner();
  Status prepare(const Call& call, Runner& runner);
  void prepare_single(const Call& call, Runner& runner);
  Status prepare_collective(const Call& call, Runner& runner);
  Status set_op(const Call& call, Operation& operation);
  bool shows(const Call& call) const;
  bool start(const Call& call);  // false: it could not be started, batch_status_ says why
  uint64_t count_in(const Call& call, uint64_t signature);
  bool start_next_collective();
  void end_batch(Status status);
  Progress fail_execution(const Runner& runner);
  void fail_flush(const Transport& transport);
  std::string what_runs() const;

  CommOptions options_;
  const Settings settings_;
  size_t tile_bytes_ = 0;
  size_t cache_bytes_ = 0;  // the host's last-level cache
  uint32_t window_ = 1;

  // Made by init().
  std::unique_ptr<Control> control_;
  uint32_t number_ = 0;
  std::vector<std::unique_ptr<Transport>> transports_;
  std::vector<Route> routes_;
  Topology topology_ = Topology::flat(1);
  std::unique_ptr<Plans> plans_;
  bool crowded_ = false;
  int inline_polls_ = 0;  // an unfinished batch of this many goes on in the waiting loop, which looks at the clock
  Thread init_thread_;
  enum class Init : int { NotYet, Runs, Over };
  std::atomic<Init> init_{Init::NotYet};

  // The batch under way.
  std::span<const Call> calls_;
  size_t next_call_ = 0;                                  // next collective to start
  bool collective_running_ = false;
  static constexpr uint32_t kMaxTilesInFlight = 16;
  static constexpr size_t kRunners = 8;  // kept ready; more only for as many calls at once
  std::deque<Runner> runners_;           // addresses stay; never empty
  std::vector<Runner*> running_;
  Runner* last_;                         // that was started
  // Between two ranks, a bit for each number of binary digits of an AllReduce's bytes: whether in the last such call both had their
  // buffers where the other reaches into them. Both know it after that, and choose the next one's plan by it.
  uint64_t mapped_ = 0;
  uint64_t starts_ = 0;
  size_t next_runner_ = kRunners;        // where to look next for one past kRunners
  std::vector<LaneCount> lanes_;
  struct SingleCount {
    uint32_t sends = 0, recvs = 0;
  };
  std::vector<SingleCount> singles_;  // by peer
  CallHistory history_;
  Status batch_status_;
  bool timeout_reported_ = false;

  // What this rank is doing, for the control thread.
  std::atomic<uint64_t> entered_{0}, finished_{0};        // collectives
  // What this rank waits for. 0: not known. Else kWaits and a peer. kSingle: it waits in a Send (kSends) or Recv. kAlone: that is the only
  // operation under way.
  static constexpr uint32_t kWaits = 1u << 31, kSingle = 1u << 30, kSends = 1u << 29, kAlone = 1u << 28, kPeer = kAlone - 1;
  std::atomic<uint32_t> wait_{0};
  std::atomic<uint64_t> wait_signature_{0};
  std::atomic<bool> splits_{false};

  std::atomic<uint64_t> tickets_{0}, turn_{0};
  std::mutex turn_mutex_;  // for turn_changed_ only
  Condition turn_changed_;

  // Guards failure_, ops_, regions_, joining_child_, others_failure_, the making of control_, and that transports_ are complete once
  // initialized_ is set.
  mutable std::mutex mutex_;
  Status failure_;
  Comm* joining_child_ = nullptr;
  Status others_failure_;  // what end_joining() was told
  std::atomic<bool> initialized_{false};
  std::vector<UserOp> ops_;
  std::vector<std::pair<uint64_t, std::pair<void*, size_t>>> regions_;
  uint64_t next_region_ = 1;
  std::atomic<bool> aborted_{false};  // failure_ is set
  std::atomic<bool> finalized_{false};
  std::atomic<bool> cancel_{false};   // abort() was called
  std::atomic<bool> join_cancel_{false};  // abort() or end_joining() was called
};

inline bool Comm::Runner::repeats(const Call& call, uint64_t now_mapped) {
  if (!repeatable || kind != call.kind || count != call.count || type != call.type || op != call.op || root != call.root ||
      sends != call.sends)
    return false;
  const uintptr_t input = reinterpret_cast<uintptr_t>(call.send) - input_offset;
  const uintptr_t output = reinterpret_cast<uintptr_t>(call.recv) - output_offset;
  if (may_be_in_place && (input == output) != in_place) return false;
  if ((now_mapped & may_be_mapped) != mapped) return false;
  execution.operation().input = input;
  execution.operation().output = output;
  return true;
}

// Runs the loaded batches of several communicators to their end in this thread; changes their order. (drive.cc)
void drive(std::span<Comm*> comms);

}  // namespace tutti

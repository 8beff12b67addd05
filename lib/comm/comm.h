// comm: one rank of a communicator. It holds the parts that do the work. Each has its own members, and none knows all others:
//   Life      where it is between its making and its end, and why it failed if it did
//   Links     how it reaches the other ranks: control plane, transports, routes, topology
//   Turns     in which order the calls of threads and streams run
//   Underway  the calls that run now, and those that were made before, kept ready (PreparedCalls)
//   Ops, Regions   what users have made on it
//   Flight, Tracer  what is written down of its calls: when it fails, and always if TUTTI_TRACE is set
//
// Threads: one thread at a time runs calls (turns order them: a call on stream NULL waits for queued ones); the control
// thread only reports failures; abort() may come from anywhere.
#pragma once
#include <functional>

#include "lib/base/thread.h"
#include "lib/comm/flight.h"
#include "lib/comm/links.h"
#include "lib/comm/ops.h"
#include "lib/comm/regions.h"
#include "lib/comm/tracer.h"
#include "lib/comm/turns.h"
#include "lib/comm/underway.h"

namespace tutti {

class Comm {
 public:
  Comm(CommOptions options, Settings settings);
  ~Comm();
  // Whether the settings name only what exists. Before anything is made from them.
  static Status check(const Settings& settings);
  Comm(const Comm&) = delete;
  Comm& operator=(const Comm&) = delete;

  // What runs in the background returns InProgress at once, and goes on in a thread of this object until state() is no longer InProgress. If
  // it fails, so does the communicator.

  // Joins the other ranks. Ends early when abort() is called.
  Status init(bool in_background);
  // Runs `work`, which splits this communicator.
  Status split_in_background(std::function<Status()> work);
  // Aborts an init or a split that goes on in the background; waits for a finalize, and returns what that has found.
  Status end_background() noexcept;
  // InProgress during a split in the background; else the first failure; else InProgress until init() has ended, and while finalize() runs;
  // else success. Any thread.
  Status state() const { return life_.state(); }
  Status failure() const { return life_.failure(); }
  // Whether split and finalize return when they have ended.
  bool blocking() const { return options_.blocking; }

  int rank() const { return options_.rank; }
  int ranks() const { return options_.ranks; }
  const UniqueId& id() const { return options_.id; }
  const Settings& settings() const { return settings_; }
  double timeout_s() const { return options_.timeout_s; }
  const std::string& name() const { return options_.name; }
  std::string title() const { return options_.title(); }

  // Whether calls can be made. If not, refusal() says why.
  bool ready() const { return life_.usable(); }
  Status refusal() const { return life_.refusal(); }

  // Turns, see turns.h.
  uint64_t take_ticket() { return turns_.take_ticket(); }
  void wait_turn(uint64_t ticket) { turns_.wait(ticket); }
  void end_turn_and_tell() { turns_.end_and_tell(); }
  void wait_idle() { turns_.wait_idle(); }

  // A batch, see underway.h.
  Underway& underway() { return underway_; }
  Status run(std::span<const Call> calls) { return underway_.run(calls); }
  // run() when their turn has come.
  Status run_in_turn(std::span<const Call> calls);

  // Records a failure, unless there is one already, and tells all ranks.
  void fail_all(Code code, int guilty, const std::string& text) noexcept { life_.fail({code, guilty, text}); }

  // Collective: the new communicator's options for this rank; ranks == 0 if it has none.
  Result<CommOptions> split(int color, int key);
  // Called on the parent while a child of a split joins; null: the child no longer joins. A failure of the parent ends the child's init(), as
  // long as the child's ranks have not met. After that the child notices deaths itself.
  void set_joining_child(Comm* child) { life_.set_meeting_child(child ? &child->life_ : nullptr); }
  // Whether this rank has met the others, so that they notice how it ends. After init().
  bool has_joined() const { return links_.control != nullptr; }
  // Ends init() with a failure of the parent, or of another rank of this process. Does nothing once the ranks have met. Any thread.
  void end_joining(const Status& failure) noexcept { life_.end_meeting(failure); }
  // Leaves the other ranks. Init must have ended. Errors: messages that others will miss, messages that nobody received, ranks that made
  // another number of calls. After a failure it does not run in the background.
  Status finalize(bool in_background) noexcept;
  // Fails everything here and on the other ranks; see Life. Any thread.
  Status revoke() noexcept;
  // Like revoke(), with the text "aborted"; then waits until an init or a split has ended. Any thread.
  void abort() noexcept;

  // Ops made by the user, see ops.h.
  int add_op(const void* scalar, Type type, bool read_now) { return ops_.add(scalar, type, read_now); }
  Status remove_op(int op) { return ops_.remove(op); }
  Status check_op(int op, Type type) const { return ops_.check(op, type); }
  // Registered buffers, see regions.h.
  uint64_t add_region(void* data, size_t bytes) { return regions_.add({static_cast<std::byte*>(data), bytes}); }
  bool remove_region(uint64_t handle) { return regions_.remove(handle); }

 private:
  Status connect();
  void start_tracer(int64_t began_ns);
  void report_failure() noexcept;
  LastMoments last_moments(const std::string& failure) const;
  using Work = std::function<Status()>;
  Status guard(const Work& work) noexcept;
  Status start(const char* thread_name, Work work, std::function<void()> end) noexcept;
  Status leave(bool usable) noexcept;
  Status compare_and_leave(bool usable);
  Status untaken_text(const std::vector<Untaken>& untaken) const;
  Status differing(const Departure& mine, const Departure& other) const;

  CommOptions options_;
  const Settings settings_;
  const TickTime began_;
  Flight flight_;
  Life life_;
  Links links_;
  Turns turns_;
  Ops ops_;
  Regions regions_;
  std::unique_ptr<Tracer> tracer_;  // null: there is none
  Underway underway_;
  Status found_;  // by a finalize in the background; written before Life says Left
  Thread background_;
};

}  // namespace tutti

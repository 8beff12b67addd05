// failure: how a communicator fails, who is told, and what the error texts say; and how a rank leaves it.
#include <algorithm>

#include "lib/base/log.h"
#include "lib/comm/comm.h"

namespace tutti {

Status Comm::first_failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

void Comm::fail_all(Code code, int guilty, const std::string& text) noexcept {
  record(Status(code, text));
  try {
    if (control_) control_->abort({code, guilty, text});
  } catch (const std::exception&) {
    // There is no memory to tell the others. They notice when this rank's connection ends.
  }
}

// Only the first failure is recorded.
void Comm::record(const Status& failure) noexcept {
  std::lock_guard lock(mutex_);
  if (!failure_.ok()) return;
  failure_ = failure;
  aborted_.store(true, std::memory_order_release);
  try {
    log_warn(rank(), failure.text());
  } catch (const std::exception&) {
    // There is no memory for a line of the log.
  }
  if (joining_child_) joining_child_->end_joining(failure_);
  if (!initialized_) return;  // nobody sleeps yet, and the transports are being made
  for (const auto& transport : transports_) transport->wake();
}

void Comm::set_joining_child(Comm* child) {
  std::lock_guard lock(mutex_);
  joining_child_ = child;
  if (child && !failure_.ok()) child->end_joining(failure_);
}

void Comm::end_joining(const Status& failure) noexcept {
  std::lock_guard lock(mutex_);
  others_failure_ = failure;
  join_cancel_.store(true, std::memory_order_release);
}

void Comm::abort() noexcept {
  cancel_.store(true, std::memory_order_release);
  join_cancel_.store(true, std::memory_order_release);
  record(fail(Code::InvalidUsage, "the communicator was aborted on this rank (", rank(), ")"));
  const auto tell = [this] {
    std::lock_guard lock(mutex_);
    try {
      if (control_) control_->abort({Code::RemoteError, rank(), concat("rank ", rank(), " aborted the communicator")});
    } catch (const std::exception&) {
      // There is no memory to tell the others. They notice when this rank's connection ends.
    }
  };
  tell();  // also ends an all-gather in which init() is
  if (init_ != Init::Runs) return;
  wait_init();
  tell();  // again: control_ may have been made after the first time
}

// ---- sentences

std::string Comm::title() const { return name().empty() ? concat("communicator ", number_) : concat("communicator '", name(), "'"); }

std::string Comm::collective_text(uint64_t number) const { return concat(" [collective #", number, " of ", title(), "]"); }

// The sends and receives under way, kShown at most.
std::string Comm::singles_text() const {
  constexpr int kShown = 4;
  std::string text;
  int shown = 0;
  for (const Runner* runner : running_) {
    if (runner->kind != CallKind::PointToPoint || shown == kShown) continue;
    text += concat(shown++ == 0 ? "" : ", ", describe_single(runner->execution.operation().signature, runner->sends, runner->root));
  }
  return text;
}

// REQUIRES: the thread that advances the communicator.
std::string Comm::what_runs() const {
  if (!collective_running_ && !running_.empty()) return concat(singles_text(), " on ", title());
  const uint64_t entered = entered_.load(std::memory_order_relaxed);
  return describe(history_.find(entered, entered).value_or(0)) + collective_text(entered);
}

void Comm::note_waiting() {
  for (const Runner* runner : running_) {
    const std::vector<int> peers = runner->execution.waiting_for();
    if (peers.empty()) continue;
    const bool single = runner->kind == CallKind::PointToPoint;
    wait_signature_.store(runner->execution.operation().signature, std::memory_order_relaxed);
    wait_.store(kWaits | (single ? kSingle : 0) | (runner->sends ? kSends : 0) | (running_.size() == 1 ? kAlone : 0) |
                    static_cast<uint32_t>(peers.front()),
                std::memory_order_release);
    return;
  }
}

// Called by the control thread while calls go on: the answer may be a moment old.
Activity Comm::activity(uint64_t number) const {
  Activity activity{entered_.load(std::memory_order_acquire), finished_.load(std::memory_order_acquire), ""};
  if (const std::optional<uint64_t> then = history_.find(number, activity.entered)) activity.then = describe(*then);
  const uint64_t collective = history_.find(activity.entered, activity.entered).value_or(0);
  const uint32_t wait = wait_.load(std::memory_order_acquire);
  const int peer = wait & kWaits ? static_cast<int>(wait & kPeer) : -1;
  const bool idle = activity.finished >= activity.entered;
  if (splits_.load(std::memory_order_relaxed)) {
    activity.text = concat("in CommSplit of ", title());
  } else if (peer >= 0 && wait & kSingle) {
    if (wait & kAlone) activity.waits_for = peer;
    activity.text = concat("in ", describe_single(wait_signature_.load(std::memory_order_relaxed), wait & kSends, peer));
  } else if (activity.entered == 0) {
    activity.text = concat("has made no collective call on ", title());
  } else {
    activity.text = concat(idle ? "idle after " : "in ", describe(collective), collective_text(activity.entered));
    if (!idle && peer >= 0) activity.text += concat(", waiting for rank ", peer);
    if (!idle) activity.call = describe(collective);
  }
  return activity;
}

// A mismatch of a Send and a Recv concerns two ranks, and what came says enough. For a collective the hub asks all ranks: the peer whose
// message came need not be the one that is wrong.
Progress Comm::fail_mismatch(const Execution& execution) {
  const Execution::Mismatch& mismatch = *execution.mismatch();
  const uint64_t number = entered_.load(std::memory_order_relaxed);
  // The message carries the call's number modulo 2^kCallBits. The whole number is the one nearest to ours.
  const int64_t behind =
      static_cast<int32_t>((call_of(execution.operation().number) - mismatch.call) << (32 - kCallBits)) >> (32 - kCallBits);
  const uint64_t their_number = number - static_cast<uint64_t>(behind);
  const Cause seen{Code::InvalidUsage, execution.failed_peer(), mismatch_text(execution, number, their_number)};
  if (control_ && kind_of(mismatch.expected) != CallKind::PointToPoint) {
    batch_status_ = fail(Code::InProgress, seen.text);
    const uint64_t first = std::min(number, their_number);
    control_->report_mismatch(first, collective_text(first), seen);
    return Progress::Again;
  }
  fail_all(seen.code, seen.rank, seen.text);
  end_batch(first_failure());
  return Progress::Failed;
}

std::string Comm::mismatch_text(const Execution& execution, uint64_t number, uint64_t their_number) const {
  const Execution::Mismatch& mismatch = *execution.mismatch();
  const Operation& operation = execution.operation();
  const int peer = execution.failed_peer();
  const uint64_t ours = mismatch.expected, theirs = mismatch.signature;
  const auto elements = [&](size_t bytes) { return bytes / size_of(operation.type); };
  if (kind_of(ours) == CallKind::PointToPoint)
    return concat("ranks made different calls: rank ", rank(), " called ", describe_single(ours, false, peer), ", rank ", peer, " called ",
                  describe_single(theirs, true, rank()), " [#", call_of(operation.number), " between them on ", title(), "]");

  const bool same_kind = kind_of(ours) == kind_of(theirs) && ours >> kCountBits == theirs >> kCountBits;
  if (their_number != number) {
    const std::optional<uint64_t> then = history_.find(their_number, number);
    const uint64_t kind_only = then && kind_of(*then) == CallKind::AlltoAllV ? kCountMask : 0;  // its counts differ between messages
    if (then && !of_one_call(*then & ~kind_only, theirs & ~kind_only))
      return concat("ranks made different calls: rank ", rank(), " called ", describe(*then), ", rank ", peer, " called ", describe(theirs),
                    collective_text(their_number), ", noticed in ", describe(ours), collective_text(number));
    return concat("ranks made different calls: rank ", rank(), " called ", describe(ours), collective_text(number), ", rank ", peer,
                  " called ", describe(theirs), " as its #", their_number, ": one of them has left out a call, or made one too many");
  }
  if (same_kind && kind_of(ours) == CallKind::AlltoAllV)
    return concat("ranks made different calls: rank ", peer, " called AlltoAllV with sendcounts[", rank(), "] = ", count_of(theirs), ", rank ",
                  rank(), " called AlltoAllV with recvcounts[", peer, "] = ", count_of(ours), " (elements)", collective_text(number));
  if (same_kind && operation.output_layout.counts.size() > 0) {
    const std::vector<size_t> counts(operation.output_layout.counts.begin(), operation.output_layout.counts.end());
    return concat("ranks made different calls: rank ", rank(), " called ", describe(ours), " with recvcounts ", list_of(counts), ", rank ", peer,
                  " called it with other recvcounts",
                  mismatch.bytes == mismatch.expected_bytes
                      ? ""
                      : concat(": it sent ", elements(mismatch.bytes), " elements where ", elements(mismatch.expected_bytes), " were expected"),
                  collective_text(number));
  }
  if (of_one_call(ours, theirs))
    return concat(describe(ours), ": rank ", peer, " sent ", mismatch.bytes, " bytes where rank ", rank(), " expected ", mismatch.expected_bytes,
                  collective_text(number));
  return concat("ranks made different calls: rank ", rank(), " called ", describe(ours), ", rank ", peer, " called ", describe(theirs),
                collective_text(number));
}

// ---- a batch that cannot go on

void Comm::report_timeout() {
  if (timeout_reported_) return;
  timeout_reported_ = true;
  note_waiting();
  std::vector<int> suspects;
  for (const Runner* runner : running_)
    for (int peer : runner->execution.waiting_for())
      if (std::find(suspects.begin(), suspects.end(), peer) == suspects.end()) suspects.push_back(peer);
  const std::string hint = options_.by_init_all ? " (CommInitAll made all ranks in this process: a thread that drives several of them "
                                                  "has to enclose its calls in GroupStart and GroupEnd)"
                                                : "";
  const std::string text = concat(what_runs(), " made no progress for ", timeout_s(), " s on rank ", rank(), hint);
  if (control_) {
    control_->report_timeout(collective_running_ ? entered_.load(std::memory_order_relaxed) : 0, suspects, text);
  } else {
    fail_all(Code::RemoteError, -1, text);
  }
}

void Comm::give_up() {
  fail_all(Code::RemoteError, -1, concat(what_runs(), " made no progress for ", timeout_s(), " s, and rank 0 did not say why"));
}

Progress Comm::advance_aborted() {
  if (!batch_status_.ok() && !disputed()) return Progress::Failed;
  const Status failure = first_failure();
  const std::string was = running_.empty() ? "" : concat(" (rank ", rank(), " was in ", what_runs(), ")");
  end_batch(Status(failure.code(), failure.text() + was));
  return Progress::Failed;
}

Progress Comm::fail_execution(const Runner& runner) {
  const Execution& execution = runner.execution;
  if (execution.mismatch()) return fail_mismatch(execution);
  const int peer = execution.failed_peer();
  const uint64_t signature = execution.operation().signature;
  const bool single = runner.kind == CallKind::PointToPoint;
  fail_all(execution.failure().code(), peer,
           concat("rank ", rank(), ", ", single ? describe_single(signature, runner.sends, runner.root) : describe(signature), ", peer rank ", peer,
                  ": ", execution.failure().text()));
  end_batch(first_failure());
  return Progress::Failed;
}

void Comm::fail_flush(const Transport& transport) {
  for (int peer = 0; peer < ranks(); ++peer) {
    if (routes_[peer].transport != &transport) continue;
    const Status failure = routes_[peer].endpoint->failure();
    if (failure.ok()) continue;
    fail_all(failure.code(), peer, concat("what rank ", rank(), " sent to rank ", peer, " is lost: ", failure.text()));
    break;
  }
  end_batch(first_failure());
}

// ---- leaving

Status Comm::in_vain(const std::vector<Untaken>& untaken) const {
  constexpr size_t kShown = 4;
  std::string text;
  for (size_t i = 0; i < untaken.size() && i < kShown; ++i) {
    const Untaken& one = untaken[i];
    const bool single = kind_of(one.wire.signature) == CallKind::PointToPoint;
    text += concat(i == 0 ? "" : "; ", "rank ", one.sender, " called ",
                   single ? describe_single(one.wire.signature, true, one.receiver) : describe(one.wire.signature), " [",
                   single ? "" : "collective ", "#", call_of(one.wire.call), "], and rank ", one.receiver, " has left without receiving what it sent");
  }
  if (untaken.size() > kShown) text += concat("; and ", untaken.size() - kShown, " more");
  return fail(Code::InvalidUsage, "ranks made different calls on ", title(), ": ", text);
}

Status Comm::differing(const Departure& mine, const Departure& other) const {
  const auto done = [](const Departure& one) {
    return one.calls == 0 ? std::string("no collective call")
                          : concat(one.calls, one.calls == 1 ? " collective call, " : " collective calls, the last of them ", one.last);
  };
  return fail(Code::InvalidUsage, "ranks made different calls on ", title(), ": rank ", rank(), " made ", done(mine), "; rank ", other.rank,
              " has left after ", done(other));
}

Status Comm::finalize() noexcept {
  try {
    return leave();
  } catch (const std::exception&) {
    if (control_) (void)control_->leave(std::nullopt);  // needs no memory. Without it the others would take this rank for dead
    return Status::out_of_memory();
  }
}

Status Comm::leave() {
  wait_init();
  const bool again = finalized_.exchange(true, std::memory_order_relaxed);
  wait_idle();
  Status left;
  if (!again && initialized_.load(std::memory_order_acquire) && !aborted()) {
    const Deadline deadline = Deadline::after_s(timeout_s());
    std::vector<Untaken> untaken;
    for (const auto& transport : transports_)
      if (Status status = transport->leave(deadline, untaken); left.ok()) left = std::move(status);
    if (!untaken.empty() && !aborted()) left = in_vain(untaken);
  }
  if (!control_) return left;
  std::optional<Departure> mine;
  if (!again && initialized_.load(std::memory_order_acquire) && !aborted()) {
    const uint64_t calls = entered_.load(std::memory_order_relaxed);
    mine = {calls, calls > 0 ? describe(history_.find(calls, calls).value_or(0)) : ""};
  }
  const std::optional<Departure> other = control_->leave(mine);
  // A mismatch that a message has shown says more than this one. A lost message says less.
  if (other && left.code() != Code::InvalidUsage) left = differing(*mine, *other);
  return left;
}

}  // namespace tutti

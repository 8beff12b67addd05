// report: what a rank says about its calls: what runs, what it waits for, and what went wrong.
#include <algorithm>

#include "lib/comm/underway.h"

namespace tutti {

std::string Underway::collective_text(uint64_t number) const { return concat(" [collective #", number, " of ", options_.title(), "]"); }

// The sends and receives under way, kShown at most.
std::string Underway::singles_text() const {
  constexpr int kShown = 4;
  std::string text;
  int shown = 0;
  for (const PreparedCall* call : running_) {
    if (call->kind != CallKind::PointToPoint || shown == kShown) continue;
    text += concat(shown++ == 0 ? "" : ", ", describe_single(call->execution.operation().signature, call->sends, call->root));
  }
  return text;
}

// REQUIRES: the thread that advances the communicator.
std::string Underway::what_runs() const {
  if (!collective_running_ && !running_.empty()) return concat(singles_text(), " on ", options_.title());
  const uint64_t entered = entered_.load(std::memory_order_relaxed);
  return describe(history_.find(entered, entered).value_or(0)) + collective_text(entered);
}

void Underway::note_waiting() {
  for (const PreparedCall* call : running_) {
    const std::vector<int> peers = call->execution.waiting_for();
    if (peers.empty()) continue;
    const bool single = call->kind == CallKind::PointToPoint;
    wait_signature_.store(call->execution.operation().signature, std::memory_order_relaxed);
    wait_.store(kWaits | (single ? kSingle : 0) | (call->sends ? kSends : 0) | (running_.size() == 1 ? kAlone : 0) |
                    static_cast<uint32_t>(peers.front()),
                std::memory_order_release);
    return;
  }
}

// Called by the control thread while calls go on: the answer may be a moment old.
Activity Underway::activity(uint64_t number) const {
  Activity activity{entered_.load(std::memory_order_acquire), finished_.load(std::memory_order_acquire), ""};
  if (const std::optional<uint64_t> then = history_.find(number, activity.entered)) activity.then = describe(*then);
  const uint64_t collective = history_.find(activity.entered, activity.entered).value_or(0);
  const uint32_t wait = wait_.load(std::memory_order_acquire);
  const int peer = wait & kWaits ? static_cast<int>(wait & kPeer) : -1;
  const bool idle = activity.finished >= activity.entered;
  if (splits_.load(std::memory_order_relaxed)) {
    activity.text = concat("in CommSplit of ", options_.title());
  } else if (peer >= 0 && wait & kSingle) {
    if (wait & kAlone) activity.waits_for = peer;
    activity.text = concat("in ", describe_single(wait_signature_.load(std::memory_order_relaxed), wait & kSends, peer));
  } else if (activity.entered == 0) {
    activity.text = concat("has made no collective call on ", options_.title());
  } else {
    activity.text = concat(idle ? "idle after " : "in ", describe(collective), collective_text(activity.entered));
    if (!idle && peer >= 0) activity.text += concat(", waiting for rank ", peer);
    if (!idle) activity.call = describe(collective);
  }
  return activity;
}

// A mismatch of a Send and a Recv concerns two ranks, and what came says enough. For a collective the control plane asks all ranks: the peer whose
// message came need not be the one that is wrong.
Progress Underway::fail_mismatch(const Execution& execution) {
  const Execution::Mismatch& mismatch = *execution.mismatch();
  const uint64_t number = entered_.load(std::memory_order_relaxed);
  // The message carries the call's number modulo 2^kCallBits. The whole number is the one nearest to ours.
  const int64_t behind =
      static_cast<int32_t>((call_of(execution.operation().number) - mismatch.call) << (32 - kCallBits)) >> (32 - kCallBits);
  const uint64_t their_number = number - static_cast<uint64_t>(behind);
  const Cause seen{Code::InvalidUsage, execution.failed_peer(), mismatch_text(execution, number, their_number)};
  if (links_.control && kind_of(mismatch.expected) != CallKind::PointToPoint) {
    status_ = fail(Code::InProgress, seen.text);
    const uint64_t first = std::min(number, their_number);
    links_.control->report_mismatch(first, collective_text(first), seen);
    return Progress::Again;
  }
  life_.fail(seen);
  end(life_.failure());
  return Progress::Failed;
}

std::string Underway::mismatch_text(const Execution& execution, uint64_t number, uint64_t their_number) const {
  const Execution::Mismatch& mismatch = *execution.mismatch();
  const Operation& operation = execution.operation();
  const int peer = execution.failed_peer();
  const uint64_t ours = mismatch.expected, theirs = mismatch.signature;
  const auto elements = [&](size_t bytes) { return bytes / size_of(operation.type); };
  if (kind_of(ours) == CallKind::PointToPoint)
    return concat("ranks made different calls: rank ", options_.rank, " called ", describe_single(ours, false, peer), ", rank ", peer, " called ",
                  describe_single(theirs, true, options_.rank), " [#", call_of(operation.number), " between them on ", options_.title(), "]");

  const bool same_kind = kind_of(ours) == kind_of(theirs) && ours >> kCountBits == theirs >> kCountBits;
  if (their_number != number) {
    const std::optional<uint64_t> then = history_.find(their_number, number);
    const uint64_t kind_only = then && kind_of(*then) == CallKind::AlltoAllV ? kCountMask : 0;  // its counts differ between messages
    if (then && !of_one_call(*then & ~kind_only, theirs & ~kind_only))
      return concat("ranks made different calls: rank ", options_.rank, " called ", describe(*then), ", rank ", peer, " called ", describe(theirs),
                    collective_text(their_number), ", noticed in ", describe(ours), collective_text(number));
    return concat("ranks made different calls: rank ", options_.rank, " called ", describe(ours), collective_text(number), ", rank ", peer,
                  " called ", describe(theirs), " as its #", their_number, ": one of them has left out a call, or made one too many");
  }
  if (same_kind && kind_of(ours) == CallKind::AlltoAllV)
    return concat("ranks made different calls: rank ", peer, " called AlltoAllV with sendcounts[", options_.rank, "] = ", count_of(theirs), ", rank ",
                  options_.rank, " called AlltoAllV with recvcounts[", peer, "] = ", count_of(ours), " (elements)", collective_text(number));
  if (same_kind && operation.output_layout.counts.size() > 0) {
    const std::vector<size_t> counts(operation.output_layout.counts.begin(), operation.output_layout.counts.end());
    return concat("ranks made different calls: rank ", options_.rank, " called ", describe(ours), " with recvcounts ", list_of(counts), ", rank ", peer,
                  " called it with other recvcounts",
                  mismatch.bytes == mismatch.expected_bytes
                      ? ""
                      : concat(": it sent ", elements(mismatch.bytes), " elements where ", elements(mismatch.expected_bytes), " were expected"),
                  collective_text(number));
  }
  if (of_one_call(ours, theirs))
    return concat(describe(ours), ": rank ", peer, " sent ", mismatch.bytes, " bytes where rank ", options_.rank, " expected ", mismatch.expected_bytes,
                  collective_text(number));
  return concat("ranks made different calls: rank ", options_.rank, " called ", describe(ours), ", rank ", peer, " called ", describe(theirs),
                collective_text(number));
}

// ---- a batch that cannot go on

void Underway::report_timeout() {
  if (timeout_reported_) return;
  timeout_reported_ = true;
  note_waiting();
  std::vector<int> suspects;
  for (const PreparedCall* call : running_)
    for (int peer : call->execution.waiting_for())
      if (std::find(suspects.begin(), suspects.end(), peer) == suspects.end()) suspects.push_back(peer);
  const std::string hint = options_.by_init_all ? " (CommInitAll made all ranks in this process: a thread that drives several of them "
                                                  "has to enclose its calls in GroupStart and GroupEnd)"
                                                : "";
  const std::string text = concat(what_runs(), " made no progress for ", options_.timeout_s, " s on rank ", options_.rank, hint);
  if (links_.control) {
    links_.control->report_timeout(collective_running_ ? entered_.load(std::memory_order_relaxed) : 0, suspects, text);
  } else {
    life_.fail({Code::RemoteError, -1, text});
  }
}

void Underway::give_up() {
  life_.fail({Code::RemoteError, -1, concat(what_runs(), " made no progress for ", options_.timeout_s, " s, and the control plane did not say why")});
}

Progress Underway::advance_failed() {
  if (!status_.ok() && !disputed()) return Progress::Failed;
  const Status failure = life_.failure();
  note_waiting();
  const std::string was = running_.empty() ? "" : concat(" (rank ", options_.rank, " was in ", what_runs(), ")");
  end(Status(failure.code(), failure.text() + was));
  return Progress::Failed;
}

Progress Underway::fail_execution(const PreparedCall& call) {
  const Execution& execution = call.execution;
  if (execution.mismatch()) return fail_mismatch(execution);
  const int peer = execution.failed_peer();
  const uint64_t signature = execution.operation().signature;
  const bool single = call.kind == CallKind::PointToPoint;
  const std::string what = single ? describe_single(signature, call.sends, call.root) : describe(signature);
  life_.fail({execution.failure().code(), peer,
              concat("rank ", options_.rank, ", ", what, ", peer rank ", peer, ": ", execution.failure().text())});
  end(life_.failure());
  return Progress::Failed;
}

void Underway::fail_flush(const Transport& transport) {
  for (int peer = 0; peer < options_.ranks; ++peer) {
    if (links_.routes[peer].transport != &transport) continue;
    const Status failure = links_.routes[peer].endpoint->failure();
    if (failure.ok()) continue;
    life_.fail({failure.code(), peer, concat("what rank ", options_.rank, " sent to rank ", peer, " is lost: ", failure.text())});
    break;
  }
  end(life_.failure());
}

}  // namespace tutti

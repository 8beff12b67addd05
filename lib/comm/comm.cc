// comm: life, failure and the calls under way; see comm.h. Start-up is in join.cc, the waiting loop in drive.cc.
#include "lib/comm/comm.h"

#include <algorithm>
#include <chrono>

#include "lib/base/log.h"
#include "lib/base/thread.h"

namespace tutti {

Comm::Comm(CommOptions options, Settings settings)
    : options_(std::move(options)), settings_(std::move(settings)), last_(&add_runner()) {
  if (options_.timeout_s <= 0) options_.timeout_s = settings_.seconds(Setting::Timeout);
}

Comm::~Comm() {
  if (init_thread_.joinable()) init_thread_.join();
  for (const auto& transport : transports_) transport->quiesce();
  control_.reset();  // its thread calls on_abort(), which wakes transports: it ends first
}

Status Comm::init() {
  init_ = Init::Runs;
  Status status;
  try {
    status = connect();
  } catch (const std::exception& error) {  // out of memory
    status = fail(Code::SystemError, "the communicator could not be made: ", reason_of(error));
  }
  if (!status.ok() && cancel_.load(std::memory_order_acquire)) {
    on_abort({status.code(), -1, status.text()});  // abort() tells the others, and why
  } else if (!status.ok()) {
    fail_all(status.code(), -1, status.text());
  }
  {
    std::lock_guard lock(mutex_);
    initialized_ = true;
  }
  init_ = Init::Over;
  init_.notify_all();
  return status;
}

Status Comm::init_in_background() {
  init_ = Init::Runs;
  Status status = start_thread(&init_thread_, "tutti-init", [this] { (void)init(); });  // state() reports
  if (!status.ok()) init_ = Init::Over;
  return status;
}

void Comm::wait_init() { init_.wait(Init::Runs); }

Status Comm::state() const {
  std::lock_guard lock(mutex_);
  if (!failure_.ok()) return failure_;
  if (!initialized_) return fail(Code::InProgress, "the communicator is still being initialized");
  return {};
}

Status Comm::refusal() const {
  TUTTI_TRY(state());
  return fail(Code::InvalidUsage, "the communicator was finalized: only tuttiCommDestroy and tuttiCommAbort may follow");
}

// ---- turns

// A thread that waits here is rare (an abort, or a synchronous call behind queued ones), so that who ends a turn need not know
// of it: it looks again every millisecond at the latest.
void Comm::wait_turn_blocking(uint64_t ticket) {
  const auto come = [&] { return turn_.load(std::memory_order_acquire) >= ticket; };
  std::unique_lock lock(turn_mutex_);
  while (!come()) turn_changed_.wait_for(lock, std::chrono::milliseconds(1));
}

void Comm::end_turn_and_tell() {
  end_turn();
  std::lock_guard lock(turn_mutex_);
  turn_changed_.notify_all();
}

void Comm::wait_idle() { wait_turn(tickets_.load(std::memory_order_acquire)); }

// ---- failure

Status Comm::first_failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

void Comm::fail_all(Code code, int guilty, const std::string& text) {
  const Cause cause{code, guilty, text};
  on_abort(cause);
  if (control_) control_->abort(cause);
}

void Comm::on_abort(const Cause& cause) {
  std::lock_guard lock(mutex_);
  if (!failure_.ok()) return;
  failure_ = Status(cause.code, cause.text);
  aborted_.store(true, std::memory_order_release);
  log_warn(rank(), cause.text);
  if (!initialized_) return;  // nobody sleeps yet, and the transports are being made
  for (const auto& transport : transports_) transport->wake();
}

void Comm::abort() {
  cancel_.store(true, std::memory_order_release);
  on_abort({Code::InvalidUsage, rank(), concat("the communicator was aborted on this rank (", rank(), ")")});
  const auto tell = [this] {
    std::lock_guard lock(mutex_);
    if (control_) control_->abort({Code::RemoteError, rank(), concat("rank ", rank(), " aborted the communicator")});
  };
  tell();  // ends an exchange of init() with the others, too
  if (init_ != Init::Runs) return;
  wait_init();
  tell();  // unless it was before control_ was made there
}

std::string Comm::what_runs() const {
  const uint64_t entered = entered_.load(std::memory_order_relaxed);
  std::string call = describe(signature_.load(std::memory_order_relaxed));
  if (!name().empty()) call += concat(" of communicator '", name(), "'");
  return entered == 0 ? call : concat(call, " [collective #", entered, "]");
}

Activity Comm::activity() const {
  Activity activity{entered_.load(std::memory_order_acquire), finished_.load(std::memory_order_acquire), ""};
  if (activity.entered == 0) {
    activity.text = "has made no collective call";
  } else if (activity.finished >= activity.entered) {
    activity.text = concat("idle after ", what_runs());
  } else {
    const uint64_t signature = collective_.load(std::memory_order_acquire);
    // Unless this rank went on meanwhile: who sees the next collective's signature sees that this one is finished.
    if (finished_.load(std::memory_order_relaxed) == activity.finished) activity.call = describe(signature);
    activity.text = concat("in ", what_runs());
    if (const int peer = waiting_for_.load(std::memory_order_relaxed); peer >= 0)
      activity.text += concat(", waiting for rank ", peer);
  }
  return activity;
}

void Comm::report_timeout() {
  if (timeout_reported_) return;
  timeout_reported_ = true;
  std::vector<int> suspects;
  for (const Runner* runner : running_)
    for (int peer : runner->execution.waiting_for())
      if (std::find(suspects.begin(), suspects.end(), peer) == suspects.end()) suspects.push_back(peer);
  if (!suspects.empty()) waiting_for_.store(suspects.front(), std::memory_order_relaxed);
  const std::string text = concat(what_runs(), " made no progress for ", timeout_s(), " s on rank ", rank());
  if (control_) {
    control_->report_timeout(collective_running_ ? entered_.load(std::memory_order_relaxed) : 0, suspects, text);
  } else {
    fail_all(Code::RemoteError, -1, text);
  }
}

Transport* Comm::awaited() const {
  Transport* only = nullptr;
  for (const Runner* runner : running_) {
    for (const int peer : runner->execution.waiting_for()) {
      Transport* const transport = routes_[static_cast<size_t>(peer)].transport;
      if (only && transport != only) return nullptr;
      only = transport;
    }
  }
  return only;
}

void Comm::give_up() {
  fail_all(Code::RemoteError, -1, concat(what_runs(), " made no progress for ", timeout_s(), " s, and rank 0 did not say why"));
}

// ---- calls

Comm::Runner& Comm::add_runner() {
  Runner& runner = runners_.emplace_back();
  runner.next = &runner;
  return runner;
}

void Comm::load(std::span<const Call> calls) {
  calls_ = calls;
  next_call_ = 0;
  collective_running_ = false;
  batch_exchanges_.reset();
  timeout_reported_ = false;
  if (!batch_status_.ok()) [[unlikely]]
    batch_status_ = {};
  for (const Call& call : calls)
    if (call.kind == CallKind::PointToPoint && !start(call)) return;
  (void)start_next_collective();
}

// A call of those before, once more; else what has not run for the longest time gives way, and first what cannot be repeated.
Status Comm::find_runner(const Call& call, Runner*& found) {
  Runner* oldest = nullptr;
  const auto since = [](const Runner& one) { return one.repeatable ? one.started : 0; };
  for (size_t i = 0; i < std::min(kRunners, runners_.size()); ++i) {
    Runner& one = runners_[i];
    if (one.runs) continue;
    if (one.repeats(call, mapped_)) {
      found = &one;
      return {};
    }
    if (!oldest || since(one) < since(*oldest)) oldest = &one;
  }
  const bool fewer = runners_.size() < kRunners && (!oldest || oldest->repeatable);
  if (fewer || running_.size() == runners_.size()) oldest = &add_runner();
  while (!oldest) {  // one of the others does not run
    if (next_runner_ >= runners_.size()) next_runner_ = kRunners;
    Runner& one = runners_[next_runner_++];
    if (!one.runs) oldest = &one;
  }
  found = oldest;
  return prepare(call, *found);
}

bool Comm::batch_exchanges() {
  const auto has = [&](bool sends) {
    return std::any_of(calls_.begin(), calls_.end(),
                       [&](const Call& call) { return call.kind == CallKind::PointToPoint && call.sends == sends; });
  };
  if (!batch_exchanges_) batch_exchanges_ = has(true) && has(false);
  return *batch_exchanges_;
}

// Programs go round: after a call comes what came after it before.
bool Comm::start(const Call& call) {
  Runner* runner = last_->next;
  if (runner->runs || !runner->repeats(call, mapped_)) {
    if (Status status = find_runner(call, runner); !status.ok()) [[unlikely]] {
      fail_all(status.code(), rank(), status.text());
      end_batch(std::move(status));
      return false;
    }
    last_->next = runner;
  }
  running_.push_back(runner);
  last_ = runner;
  runner->runs = true;
  runner->started = ++starts_;
  Operation& operation = runner->execution.operation();
  if (runner->may_be_mapped != 0) operation.signature = (operation.signature & ~kRemark) | (shows(call) ? kRemark : 0);
  const uint64_t signature = operation.signature;
  signature_.store(signature, std::memory_order_relaxed);
  if (call.kind == CallKind::PointToPoint) {
    if (runner->may_exchange) operation.exchanges = batch_exchanges();
  } else {
    collective_.store(signature, std::memory_order_release);  // after finished_, before entered_
    entered_.store(entered_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
  const bool many = operation.exchanges && operation.plan->scratch_copies == 0 && !operation.plan->lands;
  runner->execution.start(lanes_, many ? kTilesExchanged : window_);
  return true;
}

// Collectives of a batch run one after the other, in the order of the calls, beside its sends and receives.
bool Comm::start_next_collective() {
  while (next_call_ < calls_.size() && calls_[next_call_].kind == CallKind::PointToPoint) ++next_call_;
  if (next_call_ >= calls_.size()) return false;
  collective_running_ = start(calls_[next_call_++]);
  return collective_running_;
}

void Comm::end_batch(Status status) {
  batch_status_ = std::move(status);
  for (const auto& transport : transports_) transport->quiesce();
  for (Runner* runner : running_) runner->runs = false;
  running_.clear();
  calls_ = {};
  next_call_ = 0;
  collective_running_ = false;
}

Progress Comm::advance(bool& moved) {
  if (aborted()) [[unlikely]]
    return advance_aborted();
  if (!batch_status_.ok()) [[unlikely]]
    return Progress::Failed;
  for (const auto& transport : transports_) transport->progress();
  for (size_t i = 0; i < running_.size();) {
    Runner* const runner = running_[i];
    const Progress progress = runner->execution.advance(moved);
    if (progress == Progress::Again) {
      ++i;
      continue;
    }
    if (progress == Progress::Failed) {
      fail_execution(runner->execution);
      return Progress::Failed;
    }
    moved = true;
    mapped_ = (mapped_ & ~runner->may_be_mapped) | (runner->execution.all_remarked() ? runner->may_be_mapped : 0);
    runner->runs = false;
    running_[i] = running_.back();
    running_.pop_back();
    if (runner->execution.operation().plan->point_to_point) continue;
    finished_.store(finished_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    collective_running_ = false;
    if (!start_next_collective() && !batch_status_.ok()) return Progress::Failed;
  }
  if (!running_.empty()) return Progress::Again;
  for (const auto& transport : transports_) {
    const Progress progress = transport->flushed();
    if (progress == Progress::Failed) fail_flush(*transport);
    if (progress != Progress::Done) return progress;
  }
  return Progress::Done;
}

Progress Comm::advance_aborted() {
  if (!batch_status_.ok()) return Progress::Failed;
  const Status failure = first_failure();
  const std::string was = running_.empty() ? "" : concat(" (rank ", rank(), " was in ", what_runs(), ")");
  end_batch(Status(failure.code(), failure.text() + was));
  return Progress::Failed;
}

void Comm::fail_execution(const Execution& execution) {
  const int peer = execution.failed_peer();
  std::string text;
  Code code;
  if (execution.mismatch()) {
    code = Code::InvalidUsage;
    const uint64_t ours = execution.operation().signature, theirs = *execution.mismatch();
    text = concat("ranks made different calls: rank ", rank(), " called ", describe(ours), ", rank ", peer, " called ",
                  describe(theirs));
    if (entered_ > 0) text += concat(" [collective #", entered_.load(std::memory_order_relaxed), "]");
  } else {
    code = execution.failure().code();
    text = concat("rank ", rank(), ", ", describe(execution.operation().signature), ", peer rank ", peer, ": ",
                  execution.failure().text());
  }
  fail_all(code, peer, text);
  end_batch(first_failure());
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

Status Comm::run(std::span<const Call> calls) {
  try {
    load(calls);
    bool moved = false;
    for (int polls = 0; polls < inline_polls_; ++polls)
      if (advance(moved) != Progress::Again) return batch_status_;
    Comm* self = this;
    drive({&self, 1});
  } catch (const std::exception& error) {
    abandon(error);
  }
  return batch_status_;
}

void Comm::abandon(const std::exception& error) {
  fail_all(Code::SystemError, rank(), concat("rank ", rank(), " cannot go on: ", reason_of(error)));
  end_batch(first_failure());
}

Status Comm::run_in_turn(std::span<const Call> calls) {
  wait_turn(take_ticket());
  struct Turn {  // ends also when memory runs out
    Comm& comm;
    ~Turn() { comm.end_turn(); }
  } turn{*this};
  return run(calls);
}

// ---- leaving

Status Comm::finalize() {
  wait_init();
  const bool again = finalized_.exchange(true, std::memory_order_relaxed);
  wait_idle();
  Status left;
  if (!again && initialized_.load(std::memory_order_acquire) && !aborted()) {
    const Deadline deadline = Deadline::after_s(timeout_s());
    for (const auto& transport : transports_)
      if (Status status = transport->leave(deadline); left.ok()) left = std::move(status);
  }
  if (control_) control_->leave();
  return left;
}

}  // namespace tutti

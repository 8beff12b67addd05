// comm: see comm.h. This file starts a communicator and runs its calls. Joining is in join.cc, the waiting loop in drive.cc, failures in
// failure.cc.
#include "lib/comm/comm.h"

#include <algorithm>

#include "lib/base/float_mode.h"
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
  } catch (const std::exception&) {
    status = Status::out_of_memory();
  }
  if (!status.ok() && cancel_.load(std::memory_order_acquire)) {
    record(status);  // abort() tells the others the reason
  } else if (!status.ok()) {
    fail_all(status.code(), -1, status.text());
  }
  if (!status.ok()) status = first_failure();  // a failure that came before this one
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
  return fail(Code::InvalidUsage, "the communicator was finalized: only CommDestroy and CommAbort may follow");
}

// ---- turns

// A thread that waits here is rare (an abort, or a synchronous call behind queued ones), so that who ends a turn need not know
// of it: it looks again every millisecond at the latest.
void Comm::wait_turn_blocking(uint64_t ticket) {
  const auto come = [&] { return turn_.load(std::memory_order_acquire) >= ticket; };
  std::unique_lock lock(turn_mutex_);
  while (!turn_changed_.wait_until(lock, Deadline::after_s(1e-3), come)) {
  }
}

void Comm::end_turn_and_tell() {
  end_turn();
  std::lock_guard lock(turn_mutex_);
  turn_changed_.notify_all();
}

void Comm::wait_idle() { wait_turn(tickets_.load(std::memory_order_acquire)); }

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
  timeout_reported_ = false;
  wait_.store(0, std::memory_order_relaxed);
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
  if (runner->may_be_mapped != 0) operation.signature = (operation.signature & ~kMappedFlag) | (shows(call) ? kMappedFlag : 0);
  const uint64_t signature = operation.signature;
  operation.number = stamp_of(count_in(call, signature));
  runner->execution.start(lanes_, window_);
  return true;
}

// The call's number. Collectives are counted on the communicator; sends and receives between two ranks.
inline uint64_t Comm::count_in(const Call& call, uint64_t signature) {
  if (call.kind == CallKind::PointToPoint) {
    SingleCount& singles = singles_[static_cast<size_t>(call.root)];
    return call.sends ? ++singles.sends : ++singles.recvs;
  }
  const uint64_t number = entered_.load(std::memory_order_relaxed) + 1;
  history_.add(number, signature);  // after finished_, before entered_
  entered_.store(number, std::memory_order_release);
  return number;
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
    return disputed() ? Progress::Again : Progress::Failed;
  for (const auto& transport : transports_) transport->progress();
  for (size_t i = 0; i < running_.size();) {
    Runner* const runner = running_[i];
    const Progress progress = runner->execution.advance(moved);
    if (progress == Progress::Again) {
      ++i;
      continue;
    }
    if (progress == Progress::Failed) [[unlikely]]
      return fail_execution(*runner);
    moved = true;
    mapped_ = (mapped_ & ~runner->may_be_mapped) | (runner->execution.all_mapped() ? runner->may_be_mapped : 0);
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

Status Comm::run(std::span<const Call> calls) {
  const DefaultFloatMode mode;
  try {
    load(calls);
    bool moved = false;
    for (int polls = 0; polls < inline_polls_; ++polls)
      if (advance(moved) != Progress::Again) return batch_status_;
    Comm* self = this;
    drive({&self, 1});
  } catch (const std::exception&) {
    abandon();
  }
  return batch_status_;
}

void Comm::abandon() {
  fail_all(Code::SystemError, rank(), Status::out_of_memory().text());
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

}  // namespace tutti

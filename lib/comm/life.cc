// life: see life.h.
#include "lib/comm/life.h"

#include "lib/base/log.h"

namespace tutti {

Status Life::failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

Status Life::state() const {
  std::lock_guard lock(mutex_);
  const Phase phase = phase_.load(std::memory_order_relaxed);
  if (phase != Phase::Splitting) TUTTI_TRY(failure_);
  return phase == Phase::Ready || phase == Phase::Left ? Status() : tutti::fail(Code::InProgress, doing(phase));
}

Status Life::refusal() const {
  std::lock_guard lock(mutex_);
  TUTTI_TRY(failure_);
  const Phase phase = phase_.load(std::memory_order_relaxed);
  return phase < Phase::Leaving ? tutti::fail(Code::InvalidUsage, doing(phase), ": poll CommGetAsyncError until it no longer says InProgress")
                                : finalized();  // if it is Ready by now, it was not when the call was refused
}

const char* Life::doing(Phase phase) {
  if (phase < Phase::Ready) return "the communicator is still being initialized";
  return phase < Phase::Leaving ? "the communicator is still being split" : "the communicator is still being finalized";
}

Status Life::finalized() { return tutti::fail(Code::InvalidUsage, "the communicator was finalized: only CommDestroy and CommAbort may follow"); }

void Life::start_meeting() { phase_.store(Phase::Meeting, std::memory_order_release); }

Status Life::start_connecting(Control& control) {
  std::lock_guard lock(mutex_);
  control_ = &control;
  phase_.store(Phase::Connecting, std::memory_order_release);
  return failure_;
}

void Life::finish_connecting(std::span<const std::unique_ptr<Transport>> transports) {
  {
    std::lock_guard lock(mutex_);
    transports_ = transports;
    phase_.store(Phase::Ready, std::memory_order_release);
  }
  phase_.notify_all();
}

void Life::wait_settled() const {
  const auto makes = [](Phase phase) { return phase == Phase::Meeting || phase == Phase::Connecting || phase == Phase::Splitting; };
  for (Phase phase; phase = phase_.load(std::memory_order_acquire), makes(phase);) phase_.wait(phase);
}

bool Life::start_splitting() {
  std::lock_guard lock(mutex_);
  if (!usable()) return false;
  phase_.store(Phase::Splitting, std::memory_order_release);
  return true;
}

void Life::finish_splitting() {
  {
    std::lock_guard lock(mutex_);
    phase_.store(Phase::Ready, std::memory_order_release);
  }
  phase_.notify_all();
}

bool Life::start_leaving() {
  std::lock_guard lock(mutex_);
  const bool was_usable = usable();
  if (phase_.load(std::memory_order_relaxed) < Phase::Leaving) phase_.store(Phase::Leaving, std::memory_order_release);
  return was_usable;
}

void Life::finish_leaving() {
  {
    std::lock_guard lock(mutex_);
    phase_.store(Phase::Left, std::memory_order_release);
  }
  phase_.notify_all();
}

void Life::wait_left() const { phase_.wait(Phase::Leaving, std::memory_order_acquire); }

void Life::keep(const Status& failure) noexcept {
  if (!failure_.ok()) return;
  failure_ = failure;
  failed_.store(true, std::memory_order_release);
  try {
    log_warn(rank_, failure.text());
  } catch (const std::exception&) {
    // There is no memory for a line of the log.
  }
  if (meeting_child_) meeting_child_->end_meeting(failure_);
  for (const auto& transport : transports_) transport->wake();
}

// Without the lock: what hears of it may ask this object.
void Life::report() noexcept {
  if (on_failure_ && has_met()) on_failure_(failure());
}

void Life::tell(Code code, int guilty, const std::string& text) noexcept {
  if (!control_) return;
  told_ = true;
  try {
    control_->abort({code, guilty, text});
  } catch (const std::exception&) {
    // There is no memory to tell the others. They notice when this rank's connection ends.
  }
}

void Life::hear(const Cause& cause) noexcept {
  {
    std::lock_guard lock(mutex_);
    if (failure_.ok()) told_ = true;
    keep(Status(cause.code, cause.text));
  }
  report();
}

void Life::fail(const Cause& cause) noexcept {
  {
    std::lock_guard lock(mutex_);
    keep(Status(cause.code, cause.text));
    if (!told_) tell(failure_.code(), cause.rank, failure_.text());
  }
  report();
}

Status Life::revoke() noexcept {
  const Status revoked = tutti::fail(Code::InvalidUsage, "rank ", rank_, " revoked the communicator");
  {
    std::lock_guard lock(mutex_);
    TUTTI_TRY(failure_);
    if (phase_.load(std::memory_order_relaxed) >= Phase::Leaving) return finalized();
    keep(revoked);
    tell(revoked.code(), rank_, revoked.text());
  }
  report();
  return {};
}

void Life::end_meeting(const Status& failure) noexcept {
  std::lock_guard lock(mutex_);
  if (phase_.load(std::memory_order_relaxed) <= Phase::Meeting) keep(failure);
}

void Life::set_meeting_child(Life* child) {
  std::lock_guard lock(mutex_);
  meeting_child_ = child;
  if (child && !failure_.ok()) child->end_meeting(failure_);
}

void Life::abort() noexcept {
  const auto tell_others = [this] {
    std::lock_guard lock(mutex_);
    told_ = true;
    const Status told = tutti::fail(Code::RemoteError, "rank ", rank_, " aborted the communicator");
    tell(told.code(), rank_, told.text());
  };
  {
    std::lock_guard lock(mutex_);
    keep(tutti::fail(Code::InvalidUsage, "the communicator was aborted on this rank (", rank_, ")"));
  }
  tell_others();  // also ends an all-gather in which the ranks connect
  report();
  wait_settled();
  tell_others();  // the ranks may have met after the first time
}

}  // namespace tutti

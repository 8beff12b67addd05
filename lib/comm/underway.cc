// underway: see underway.h. What it says is in report.cc.
#include "lib/comm/underway.h"

#include <algorithm>

#include "lib/base/float_mode.h"

namespace tutti {
namespace {

constexpr int kInlinePolls = 1000;

}  // namespace

Underway::Underway(const CommOptions& options, const Settings& settings, const Links& links, Life& life, const Ops& ops)
    : options_(options),
      links_(links),
      life_(life),
      prepared_(options, settings, links, ops),
      window_(static_cast<uint32_t>(std::clamp<uint64_t>(settings.number(Setting::TilesInFlight), 1, kMaxTilesInFlight))),
      spin_ns_(static_cast<int64_t>(settings.number(Setting::SpinUs)) * 1000),
      lanes_(static_cast<size_t>(options.ranks) * kLanes),
      singles_(static_cast<size_t>(options.ranks)) {}

Status Underway::open() {
  transports_ = links_.transports;
  return prepared_.open();
}

void Underway::load(std::span<const Call> calls) {
  calls_ = calls;
  next_call_ = 0;
  collective_running_ = false;
  timeout_reported_ = false;
  wait_.store(0, std::memory_order_relaxed);
  if (!status_.ok()) [[unlikely]]
    status_ = {};
  for (const Call& call : calls)
    if (call.kind == CallKind::PointToPoint && !start(call)) return;
  (void)start_next_collective();
}

bool Underway::start(const Call& call) {
  PreparedCall* const one = prepared_.take(call, running_, status_);
  if (!one) [[unlikely]]
    return fail_start();
  running_.push_back(one);
  Operation& operation = one->execution.operation();
  operation.number = stamp_of(count_in(call, operation.signature));
  one->execution.start(lanes_, window_);
  return true;
}

[[gnu::noinline, gnu::cold]] bool Underway::fail_start() {
  life_.fail({status_.code(), options_.rank, status_.text()});
  end(std::move(status_));
  return false;
}

// The call's number. Collectives are counted on the communicator; sends and receives between two ranks.
inline uint64_t Underway::count_in(const Call& call, uint64_t signature) {
  if (call.kind == CallKind::PointToPoint) {
    SingleCount& singles = singles_[static_cast<size_t>(call.root)];
    return call.sends ? ++singles.sends : ++singles.recvs;
  }
  const uint64_t number = entered_.load(std::memory_order_relaxed) + 1;
  history_.add(number, signature);  // after finished_, before entered_
  entered_.store(number, std::memory_order_release);
  return number;
}

bool Underway::start_next_collective() {
  while (next_call_ < calls_.size() && calls_[next_call_].kind == CallKind::PointToPoint) ++next_call_;
  if (next_call_ >= calls_.size()) return false;
  collective_running_ = start(calls_[next_call_++]);
  return collective_running_;
}

void Underway::end(Status status) {
  status_ = std::move(status);
  for (const auto& transport : transports_) transport->quiesce();
  for (PreparedCall* call : running_) call->runs = false;
  running_.clear();
  calls_ = {};
  next_call_ = 0;
  collective_running_ = false;
}

Progress Underway::advance(bool& moved) {
  if (life_.failed()) [[unlikely]]
    return advance_failed();
  if (!status_.ok()) [[unlikely]]
    return disputed() ? Progress::Again : Progress::Failed;
  for (const auto& transport : transports_) transport->progress();
  for (size_t i = 0; i < running_.size();) {
    PreparedCall* const call = running_[i];
    const Progress progress = call->execution.advance(moved);
    if (progress == Progress::Again) {
      ++i;
      continue;
    }
    if (progress == Progress::Failed) [[unlikely]]
      return fail_execution(*call);
    moved = true;
    prepared_.done(*call);
    running_[i] = running_.back();
    running_.pop_back();
    if (call->execution.operation().plan->point_to_point) continue;
    finished_.store(finished_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    collective_running_ = false;
    if (!start_next_collective() && !status_.ok()) return Progress::Failed;
  }
  if (!running_.empty()) return Progress::Again;
  for (const auto& transport : transports_) {
    const Progress progress = transport->flushed();
    if (progress == Progress::Failed) fail_flush(*transport);
    if (progress != Progress::Done) return progress;
  }
  return Progress::Done;
}

Status Underway::run(std::span<const Call> calls) {
  const DefaultFloatMode mode;
  try {
    load(calls);
    bool moved = false;
    // With a core of its own a rank polls a while before the waiting loop, which looks at the clock.
    for (int polls = links_.crowded ? 0 : kInlinePolls; polls > 0; --polls)
      if (advance(moved) != Progress::Again) return status_;
    Underway* self = this;
    drive({&self, 1});
  } catch (const std::exception&) {
    abandon();
  }
  return status_;
}

void Underway::abandon() {
  life_.fail({Code::SystemError, options_.rank, Status::out_of_memory().text()});
  end(life_.failure());
}

Departure Underway::departure() const {
  const uint64_t calls = entered_.load(std::memory_order_relaxed);
  return {calls, calls > 0 ? describe(history_.find(calls, calls).value_or(0)) : ""};
}

}  // namespace tutti

// underway: see underway.h. What it says is in report.cc.
#include "lib/comm/underway.h"

#include <algorithm>

#include "lib/base/float_mode.h"
#include "lib/comm/tracer.h"

namespace tutti {
namespace {

constexpr int kInlinePolls = 1000;

}  // namespace

Underway::Underway(const CommOptions& options, const Settings& settings, const Links& links, Life& life, const Ops& ops,
                   std::function<void()> on_end)
    : options_(options),
      links_(links),
      life_(life),
      on_end_(std::move(on_end)),
      prepared_(options, settings, links, ops),
      window_(static_cast<uint32_t>(std::clamp<uint64_t>(settings.number(Setting::TilesInFlight), 1, kMaxTilesInFlight))),
      spin_ns_(static_cast<int64_t>(settings.number(Setting::SpinUs)) * 1000),
      lanes_(static_cast<size_t>(options.ranks) * kLanes),
      singles_(static_cast<size_t>(options.ranks)) {}

Status Underway::open(Tracer* tracer) {
  transports_ = links_.transports;
  tracer_ = tracer;
  // With a core of its own a rank polls a while before the waiting loop, which looks at the clock.
  inline_polls_ = links_.crowded ? 0 : kInlinePolls;
  return prepared_.open();
}

void Underway::load(std::span<const Call> calls) {
  if (tracer_) [[unlikely]]
    return load_traced(calls);
  load_as<false>(calls);
}

[[gnu::noinline, gnu::cold]] void Underway::load_traced(std::span<const Call> calls) { load_as<true>(calls); }

template <bool kTraced>
inline void Underway::load_as(std::span<const Call> calls) {
  calls_ = calls;
  next_call_ = 0;
  collective_running_ = false;
  timeout_reported_ = false;
  wait_.store(0, std::memory_order_relaxed);
  if (!status_.ok()) [[unlikely]]
    status_ = {};
  for (const Call& call : calls)
    if (call.kind == CallKind::PointToPoint && !start<kTraced>(call)) return;
  (void)start_next_collective<kTraced>();
}

template <bool kTraced>
bool Underway::start(const Call& call) {
  PreparedCall* const one = prepared_.take(call, running_, status_);
  if (!one) [[unlikely]]
    return fail_start();
  running_.push_back(one);
  Operation& operation = one->execution.operation();
  const uint64_t number = count_in(call, *one);
  operation.number = stamp_of(number);
  if constexpr (kTraced) tracer_->begin(*one, number);
  one->execution.start(lanes_, window_);
  return true;
}

[[gnu::noinline, gnu::cold]] bool Underway::fail_start() {
  life_.fail({status_.code(), options_.rank, status_.text()});
  end(std::move(status_));
  return false;
}

// The call's number. Collectives are counted on the communicator; sends and receives between two ranks.
inline uint64_t Underway::count_in(const Call& call, PreparedCall& one) {
  if (call.kind == CallKind::PointToPoint) return count_single(call, one);
  const uint64_t number = entered_.load(std::memory_order_relaxed) + 1;
  history_.begin(number, one.execution.operation().signature);  // after finished_, before entered_
  entered_.store(number, std::memory_order_release);
  return number;
}

uint64_t Underway::count_single(const Call& call, PreparedCall& one) {
  SingleCount& singles = singles_[static_cast<size_t>(call.root)];
  const uint64_t number = call.sends ? ++singles.sends : ++singles.recvs;
  one.record = history_.begin_single(one.execution.operation().signature, number, call.root, call.sends);
  return number;
}

template <bool kTraced>
bool Underway::start_next_collective() {
  while (next_call_ < calls_.size() && calls_[next_call_].kind == CallKind::PointToPoint) ++next_call_;
  if (next_call_ >= calls_.size()) return false;
  collective_running_ = start<kTraced>(calls_[next_call_++]);
  return collective_running_;
}

void Underway::end(Status status) {
  status_ = std::move(status);
  for (const auto& transport : transports_) transport->quiesce();
  for (PreparedCall* call : running_) {
    call->runs = false;
    if (tracer_) tracer_->end(*call, true);
  }
  running_.clear();
  calls_ = {};
  next_call_ = 0;
  collective_running_ = false;
  if (on_end_) on_end_();
}

Progress Underway::advance(bool& moved) {
  if (tracer_) [[unlikely]]
    return advance_traced(moved);
  return advance_as<false>(moved);
}

[[gnu::noinline, gnu::cold]] Progress Underway::advance_traced(bool& moved) { return advance_as<true>(moved); }

template <bool kTraced>
inline Progress Underway::advance_as(bool& moved) {
  if (life_.failed()) [[unlikely]]
    return advance_failed();
  if (!status_.ok()) [[unlikely]]
    return disputed() ? Progress::Again : Progress::Failed;
  for (const auto& transport : transports_) transport->progress();
  for (size_t i = 0; i < running_.size();) {
    PreparedCall* const call = running_[i];
    Progress progress;
    if constexpr (kTraced)
      progress = tracer_->advance(*call, moved);
    else
      progress = call->execution.advance(moved);
    if (progress == Progress::Again) {
      ++i;
      continue;
    }
    if (progress == Progress::Failed) [[unlikely]]
      return fail_execution(*call);
    moved = true;
    prepared_.done(*call);
    if constexpr (kTraced) tracer_->end(*call, false);
    running_[i] = running_.back();
    running_.pop_back();
    if (call->execution.operation().plan->point_to_point) {
      history_.end_single(call->record);
      continue;
    }
    const uint64_t finished = finished_.load(std::memory_order_relaxed) + 1;
    history_.end(finished);
    finished_.store(finished, std::memory_order_release);
    collective_running_ = false;
    if (!start_next_collective<kTraced>() && !status_.ok()) return Progress::Failed;
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
  if (tracer_) [[unlikely]]
    return run_traced(calls);
  return run_as<false>(calls);
}

[[gnu::noinline, gnu::cold]] Status Underway::run_traced(std::span<const Call> calls) { return run_as<true>(calls); }

template <bool kTraced>
inline Status Underway::run_as(std::span<const Call> calls) {
  const DefaultFloatMode mode;
  try {
    load_as<kTraced>(calls);
    bool moved = false;
    for (int polls = inline_polls_; polls > 0; --polls)
      if (advance_as<kTraced>(moved) != Progress::Again) return status_;
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

void Underway::set_stream(uint32_t stream, std::span<const Call> calls) {
  const auto collectives = std::count_if(calls.begin(), calls.end(), [](const Call& call) { return call.kind != CallKind::PointToPoint; });
  if (stream != 0) history_.note_stream(entered_.load(std::memory_order_relaxed) + 1, static_cast<uint64_t>(collectives), stream);
  history_.set_single_stream(stream);
  if (tracer_) tracer_->set_stream(stream);
}

std::vector<PastCall> Underway::last_calls() const {
  const uint64_t entered = entered_.load(std::memory_order_acquire);  // before finished_, which is not greater
  return history_.calls(entered, finished_.load(std::memory_order_acquire));
}

Departure Underway::departure() const {
  const uint64_t calls = entered_.load(std::memory_order_relaxed);
  return {calls, calls > 0 ? describe(history_.find(calls, calls).value_or(0)) : ""};
}

}  // namespace tutti

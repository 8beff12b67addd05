// tracer: see tracer.h. This file has the thread that runs calls; the writer is in trace_writer.cc.
#include "lib/comm/tracer.h"

#include <algorithm>

namespace tutti {

namespace {

// Only one thread at a time counts.
void count(std::atomic<uint64_t>& counter) { counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }

}  // namespace

void Tracer::enter_window(int64_t now) {
  if (now / kWindowNs == window_) return;
  window_ = now / kWindowNs;
  events_ = details_ = 0;
}

void Tracer::begin(PreparedCall& call, uint64_t number) {
  call.lane = kNoLane;
  if (ticks() < full_until_) return count(lost_calls_);
  const int64_t now = now_ns();
  enter_window(now);
  if (events_ >= most_events_) {
    const TickTime here;
    const double per_ns = static_cast<double>(here.count - began_.count) / static_cast<double>(std::max<int64_t>(here.ns - began_.ns, 1));
    full_until_ = here.count + static_cast<uint64_t>(per_ns * static_cast<double>(kWindowNs - now % kWindowNs));
    return count(lost_calls_);
  }
  const auto free = std::find_if(std::begin(lanes_), std::end(lanes_), [](const LaneState& lane) { return !lane.taken; });
  if (free == std::end(lanes_)) return count(lost_calls_);
  ++events_;
  call.lane = static_cast<uint8_t>(free - std::begin(lanes_));
  const Execution& execution = call.execution;
  const Operation& operation = execution.operation();
  const bool single = call.kind == CallKind::PointToPoint;
  free->taken = true;
  free->last_ns = now;
  free->call = {.kind = Event::Kind::Call, .lane = call.lane, .sends = call.sends, .failed = false, .peer = single ? call.root : -1,
                .stream = stream_, .work = 0, .tile = 0, .tiles = execution.tiles(), .bytes = call.count * size_of(call.type), .number = number,
                .signature = operation.signature, .begin_ns = now, .end_ns = 0, .algorithm = operation.plan->algorithm};
}

Progress Tracer::advance(PreparedCall& call, bool& moved) {
  if (call.lane == kNoLane) return call.execution.advance(moved);
  lane_ = &lanes_[call.lane];
  return call.execution.advance(moved, *this);
}

void Tracer::end(PreparedCall& call, bool failed) {
  if (call.lane == kNoLane) return;
  LaneState& lane = lanes_[call.lane];
  lane.call.end_ns = now_ns();
  lane.call.failed = failed;
  put(lane.call);
  lane.taken = false;
  call.lane = kNoLane;
}

void Tracer::look() {
  looked_ns_ = now_ns();
  arrived_ = -1;
}

// Calls keep a part of the window for themselves: without them the steps say little.
bool Tracer::may_tell_detail() {
  enter_window(looked_ns_);
  if (details_ < most_details_ && events_ < most_events_) {
    ++details_;
    ++events_;
    return true;
  }
  count(lost_details_);
  return false;
}

// From what was told last until the look at which something had come.
void Tracer::tell_wait(int32_t peer) {
  LaneState& lane = *lane_;
  if (looked_ns_ - lane.last_ns < kLeastWaitNs || peer < 0) return;
  if (may_tell_detail()) {
    Event event = lane.call;
    event.kind = Event::Kind::Wait;
    event.peer = peer;
    event.begin_ns = lane.last_ns;
    event.end_ns = looked_ns_;
    put(event);
  }
  lane.last_ns = looked_ns_;
}

void Tracer::arrived(int32_t peer) {
  tell_wait(peer);
  arrived_ = peer;
}

void Tracer::done(const Plan& plan, uint32_t index, uint64_t tile, size_t bytes) {
  LaneState& lane = *lane_;
  const PlanWork& work = plan.works[index];
  const bool sends = work.kind == Work::Kind::Send;
  int32_t peer = arrived_;
  if (sends) {
    peer = plan.targets[plan.groups[work.first].first].peer;
    tell_wait(peer);  // until it took, or had read, the message
  }
  arrived_ = -1;
  const int64_t begin = std::max(lane.last_ns, looked_ns_);
  lane.last_ns = now_ns();
  if (tile >= kTilesInSteps || !may_tell_detail()) return;
  Event event = lane.call;
  event.kind = sends ? Event::Kind::Send : Event::Kind::Combine;
  event.peer = peer;
  event.work = index;
  event.tile = tile;
  event.bytes = bytes;
  event.begin_ns = begin;
  event.end_ns = lane.last_ns;
  put(event);
}

void Tracer::tile_done(uint64_t tile) {
  if (lane_->call.tiles < 2 || !may_tell_detail()) return;
  Event event = lane_->call;
  event.kind = Event::Kind::Tile;
  event.tile = tile;
  event.begin_ns = event.end_ns = now_ns();
  put(event);
}

void Tracer::put(const Event& event) {
  if (ring_.put(event)) return;
  count(event.kind == Event::Kind::Call ? lost_calls_ : lost_details_);
}

}  // namespace tutti

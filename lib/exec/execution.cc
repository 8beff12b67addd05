// execution: see execution.h.
#include "lib/exec/execution.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tutti {

void Execution::prepare(size_t tile_bytes) {
  const Plan& plan = *operation_.plan;
  ++shape_;
  element_bytes_ = size_of(operation_.type);

  // The longest message of a tile is largest_message pieces: that, and nothing a single rank knows, decides the slice.
  tiling_.pieces = plan.chunks / plan.blocks;
  piece_ = std::max<size_t>(1, tile_bytes / element_bytes_ / plan.largest_message);
  tiling_.slice = piece_ * tiling_.pieces;
  size_t longest = operation_.input_layout.count;
  for (const Layout* layout : {&operation_.input_layout, &operation_.output_layout})
    for (size_t count : layout->counts) longest = std::max(longest, count);
  tiling_.tiles = Tiling::tiles_of(longest, tiling_.slice);
  tiling_.slice = std::min(tiling_.slice, std::max<size_t>(longest, 1));
  lanes_.resize(plan.lanes.size());
  pointers_.resize(plan.most_sources);
  // Room beforehand: between a claim and its delivery nothing may fail.
  uint32_t most_targets = 0;
  for (const PostGroup& group : plan.groups) most_targets = std::max(most_targets, group.count);
  claimed_.reserve(most_targets);
  payloads_.reserve(most_targets + 1);
  places_.reserve(most_targets + 2);
}

void Execution::start(std::span<LaneCount> lanes, uint32_t window) {
  const Plan& plan = *operation_.plan;
  LaneBase* base = lanes_.data();
  for (const Lane& lane : plan.lanes) {
    LaneCount& count = lanes[static_cast<size_t>(lane.peer) * kLanes + lane.channel];
    const LaneCount before = count;
    *base = {before.sent, before.received, tiling_.tiles, tiling_.tiles};
    if (operation_.paired) {
      const uint32_t peer = static_cast<uint32_t>(lane.peer);
      base->send_tiles = Tiling::tiles_of(operation_.input_layout.count_of(peer), piece_);
      base->receive_tiles = Tiling::tiles_of(operation_.output_layout.count_of(peer), piece_);
    }
    count = {before.sent + static_cast<uint32_t>(base->send_tiles * lane.sends),
             before.received + static_cast<uint32_t>(base->receive_tiles * lane.receives)};
    ++base;
  }
  mapped_flags_ = operation_.signature & kMappedFlag;
  next_tile_ = tiles_done_ = 0;
  next_instance_ = 0;
  window_ = static_cast<uint32_t>(std::min<uint64_t>(window, tiling_.tiles));
  if (instances_.size() < window_) instances_.resize(window_);
  for (uint32_t i = 0; i < window_; ++i) begin(instances_[i], next_tile_++);
}

void Execution::begin(Instance& instance, uint64_t tile) {
  if (instance.shape != shape_ || instance.tile != tile) {
    instance.tile = tile;
    lay_out(instance);
  }
  const Plan& plan = *operation_.plan;
  ++instance.turn;
  instance.works_left = static_cast<uint32_t>(plan.works.size());
  instance.started_count = 0;
  for (const uint32_t root : plan.roots) make_ready(instance, root);
}

// Peers hear where a message is wanted before anything is sent to them: who adds up what it is sent may then put the sum there at once.
inline void Execution::make_ready(Instance& instance, uint32_t index) {
  instance.started[instance.started_count++] = index;
  const PlanWork& work = operation_.plan->works[index];
  if (work.kind != Work::Kind::Combine || work.count > 1 || operation_.paired) return;
  const PlanSource& source = operation_.plan->sources[work.first];
  if (!source.endpoint) return;
  Receiving& receiving = instance.receivings[source.incoming];
  expect(instance, work, source, receiving);
  if (receiving.landing) source.endpoint->offer(receiving);
}

// Everything about a tile that does not depend on addresses.
void Execution::lay_out(Instance& instance) {
  const Plan& plan = *operation_.plan;
  if (instance.shape != shape_) {
    instance.shape = shape_;
    instance.started.resize(plan.works.size());
    instance.waiting = plan.dependencies;
    instance.payloads.assign(plan.groups.size(), {});
    for (Payload& payload : instance.payloads) payload.streamed = operation_.streaming;
    instance.postings.assign(plan.targets.size(), {instance.turn - 1, 0});
    instance.receivings.assign(plan.incomings, {});
    instance.works.resize(plan.works.size());
    instance.sources.resize(plan.sources.size());
  }
  const size_t scratch_bytes = plan.scratch_copies * plan.blocks * tiling_.slice * element_bytes_;
  if (instance.scratch.size() < scratch_bytes) instance.scratch.resize(scratch_bytes);
  size_t landing_bytes = 0;
  for (size_t w = 0; w < plan.works.size(); ++w) {
    const PlanWork& work = plan.works[w];
    instance.works[w] = extent_of(instance, work.ref, work.chunks);
    if (work.kind == Work::Kind::Send) continue;
    for (uint32_t i = work.first; i < work.first + work.count; ++i) {
      const PlanSource& source = plan.sources[i];
      if (!source.endpoint) {
        instance.sources[i] = extent_of(instance, source.ref, work.chunks);
        continue;
      }
      Receiving& receiving = instance.receivings[source.incoming];
      receiving.wire.channel = source.channel;
      receiving.streamed = operation_.streaming;
      receiving.fresh = operation_.reduces;
      receiving.number = static_cast<uint32_t>(instance.tile * plan.lanes[source.lane].receives) + source.message;
      if (!source.lands) continue;
      receiving.capacity = static_cast<uint32_t>(instance.works[w].count * element_bytes_);
      landing_bytes += receiving.capacity;
    }
  }
  if (instance.landing.size() < landing_bytes) instance.landing.resize(landing_bytes);
  std::byte* landing = instance.landing.data();
  for (const PlanSource& source : plan.sources) {
    if (!source.endpoint || !source.lands) continue;
    instance.receivings[source.incoming].landing = landing;
    landing += instance.receivings[source.incoming].capacity;
  }
  for (size_t t = 0; t < plan.targets.size(); ++t) {
    const PlanTarget& target = plan.targets[t];
    instance.postings[t].number = static_cast<uint32_t>(instance.tile * plan.lanes[target.lane].sends) + target.message;
  }
}

template <typename AnyWatch>
inline Progress Execution::advance_watched(bool& moved, AnyWatch& watch) {
  const Plan& plan = *operation_.plan;
  watch.look();
  bool combined = false;
  for (uint32_t looked = 0; looked < window_ && !combined; ++looked) {
    Instance& instance = instances_[next_instance_];
    if (++next_instance_ == window_) next_instance_ = 0;
    if (instance.works_left == 0) continue;
    for (uint32_t at = 0; at < instance.started_count;) {
      const PlanWork& work = plan.works[instance.started[at]];
      const Progress progress = work.kind == Work::Kind::Send ? send(instance, work, moved) : receive(instance, work, moved, watch);
      if (progress == Progress::Again) {
        ++at;
        continue;
      }
      if (progress == Progress::Failed) return Progress::Failed;
      moved = true;
      combined |= work.kind == Work::Kind::Combine;
      watch.done(plan, instance.started[at], instance.tile, extent(instance, work).count * element_bytes_);
      instance.started[at] = instance.started[--instance.started_count];
      finish(instance, work);
    }
    if (instance.works_left > 0) continue;
    if (operation_.divisor > 1) divide_output(instance);
    ++tiles_done_;
    watch.tile_done(instance.tile);
    if (next_tile_ < tiling_.tiles) begin(instance, next_tile_++);
  }
  return tiles_done_ == tiling_.tiles ? Progress::Done : Progress::Again;
}

Progress Execution::advance(bool& moved) {
  NoWatch none;
  return advance_watched(moved, none);
}

Progress Execution::advance(bool& moved, Watch& watch) { return advance_watched(moved, watch); }

// Starts the works that waited for this one alone.
void Execution::finish(Instance& instance, const PlanWork& work) {
  const Plan& plan = *operation_.plan;
  --instance.works_left;
  for (uint32_t d = work.first_dependent; d < work.first_dependent + work.dependents; ++d) {
    const uint32_t next = plan.dependents[d];
    if (--instance.waiting[next] > 0) continue;
    instance.waiting[next] = plan.dependencies[next];
    if (next == instance.moved) {
      instance.moved = kNoWork;
      finish(instance, plan.works[next]);
      continue;
    }
    make_ready(instance, next);
  }
}

Range Execution::locate(const Instance& instance, Ref ref, uint32_t run) const {
  if (ref.buffer != Buffer::Scratch) return range_of(layout_of(ref.buffer), tiling_, instance.tile, ref.chunk, run);
  const uint32_t chunks = operation_.plan->chunks;
  const uint32_t copy = ref.chunk / chunks, chunk = ref.chunk % chunks, block = chunk / tiling_.pieces;
  const Layout& layout = operation_.output_layout;
  const Range whole = range_of(layout, tiling_, instance.tile, block * tiling_.pieces, tiling_.pieces);
  const Range range = range_of(layout, tiling_, instance.tile, chunk, run);
  // Slices side by side: blocks of a tile are packed in scratch.
  const size_t packed = (static_cast<size_t>(copy) * operation_.plan->blocks + block) * tiling_.slice;
  return {packed + range.begin - whole.begin, range.count};
}

Execution::Extent Execution::extent_of(const Instance& instance, Ref ref, uint32_t chunks) const {
  Extent extent{0, 0, ref.chunk % tiling_.pieces + chunks <= tiling_.pieces};
  for_each_block(ref, chunks, [&](uint32_t offset, uint32_t run) {
    const Range range = locate(instance, {ref.buffer, ref.chunk + offset}, run);
    extent.element = range.begin;
    extent.count += range.count;
  });
  return extent;
}

// Whether a message belongs to this call and has the expected length. If not, notes what came.
inline bool Execution::fits(size_t expected_bytes, const PlanSource& source, const Receiving& receiving) {
  const View& view = receiving.view;
  mapped_flags_ &= view.signature;
  const uint64_t expected = operation_.paired ? pair_signature(operation_.output_layout, source.peer) : operation_.signature;
  if (of_one_call(view.signature, expected) && view.stamp == (operation_.number | expected_bytes)) [[likely]]
    return true;
  note_mismatch(source.peer, {expected, view.signature, call_of(view.stamp), expected_bytes, bytes_of(view.stamp)});
  return false;
}

[[gnu::noinline, gnu::cold]] void Execution::note_mismatch(int32_t peer, const Mismatch& mismatch) {
  failed_peer_ = peer;
  mismatch_ = mismatch;
}

// The signature of AlltoAllV between this rank and one peer.
[[gnu::noinline]] uint64_t Execution::pair_signature(const Layout& layout, int32_t peer) const {
  return operation_.signature | folded_count(layout.count_of(static_cast<uint32_t>(peer)));
}

Progress Execution::failed_from(const PlanSource& source) {
  failed_peer_ = source.peer;
  failure_ = source.endpoint->failure();
  return Progress::Failed;
}

// Called before a Combine: from now on it reads memory that peers have lent. It must not begin while other messages are missing: after a
// failure a lender waits until nobody reads its memory, maybe in this thread. False: a sender has failed, and its failure will follow.
bool Execution::begin_lent(Instance& instance, const PlanWork& work) {
  if (instance.given_up) return false;
  const PlanSource* const sources = operation_.plan->sources.data() + work.first;
  for (uint32_t i = 0; i < work.count; ++i) {
    if (!sources[i].endpoint) continue;
    Receiving& receiving = instance.receivings[sources[i].incoming];
    if (!receiving.lent) continue;
    receiving.begun = sources[i].endpoint->mapped()->begin(receiving);
    if (receiving.begun) continue;
    // Release those that have begun: given_up keeps them from being read.
    while (i-- > 0) {
      if (!sources[i].endpoint) continue;
      Receiving& begun = instance.receivings[sources[i].incoming];
      if (std::exchange(begun.begun, false)) sources[i].endpoint->release(begun);
    }
    instance.given_up = true;
    return false;
  }
  return true;
}

// A Combine runs when all its messages are there.
template <typename AnyWatch>
inline Progress Execution::receive(Instance& instance, const PlanWork& work, bool& moved, AnyWatch& watch) {
  const PlanSource* const sources = operation_.plan->sources.data() + work.first;
  Receiving* const receivings = instance.receivings.data();
  const size_t bytes = extent(instance, work).count * element_bytes_;
  bool all = true, lent = false;
  for (uint32_t i = 0; i < work.count; ++i) {
    const PlanSource& source = sources[i];
    if (!source.endpoint) continue;
    Receiving& receiving = receivings[source.incoming];
    if (receiving.arrived) {
      lent |= receiving.lent;
      continue;
    }
    if (!receiving.expected) {
      if (operation_.paired && instance.tile >= lanes_[source.lane].receive_tiles) return Progress::Done;  // this peer's part has ended
      expect(instance, work, source, receiving);
    }
    const Progress progress = source.endpoint->receive(receiving);
    if (progress == Progress::Again) {
      all = false;
      if (source.lands) continue;  // the receive of every source has to be posted
      return Progress::Again;
    }
    if (progress == Progress::Failed) [[unlikely]]
      return failed_from(source);
    if (!fits(bytes, source, receiving)) [[unlikely]]
      return Progress::Failed;
    receiving.arrived = true;
    watch.arrived(source.peer);
    lent |= receiving.lent;
    moved = true;
  }
  if (!all) return Progress::Again;
  if ((lent || instance.given_up) && !begin_lent(instance, work)) return Progress::Again;
  if (work.into_send == kNoWork || !combine_and_send(instance, work)) {
    payloads_.clear();
    // What only waits to be copied is made where the copy goes, if nothing else holds the copy up.
    if (work.into_copy != kNoWork && instance.waiting[work.into_copy] == 1) instance.moved = work.into_copy;
    combine_all(instance, work, instance.moved == kNoWork ? work : operation_.plan->works[instance.moved]);
  }
  for (uint32_t i = 0; i < work.count; ++i) {
    if (!sources[i].endpoint) continue;
    Receiving& receiving = receivings[sources[i].incoming];
    sources[i].endpoint->release(receiving);
    receiving.expected = receiving.arrived = receiving.begun = false;
  }
  return Progress::Done;
}

inline void Execution::expect(Instance& instance, const PlanWork& work, const PlanSource& source, Receiving& receiving) {
  receiving.expected = true;
  receiving.wire.number = lanes_[source.lane].receive_base + receiving.number;
  if (work.count > 1) return;
  // A message that is all of the result may come straight to its place.
  const Extent& whole = extent(instance, work);
  if (!whole.one) return;
  receiving.landing = address(instance, work.ref.buffer, whole.element);
  receiving.capacity = static_cast<uint32_t>(whole.count * element_bytes_);
}

std::vector<int> Execution::waiting_for() const {
  std::vector<int> peers;
  const Plan& plan = *operation_.plan;
  for (uint32_t i = 0; i < window_ && i < instances_.size(); ++i) {
    const Instance& instance = instances_[i];
    if (instance.works_left == 0) continue;
    for (uint32_t at = 0; at < instance.started_count; ++at) {
      const PlanWork& work = plan.works[instance.started[at]];
      if (work.kind == Work::Kind::Combine) {
        for (uint32_t s = work.first; s < work.first + work.count; ++s)
          if (plan.sources[s].endpoint && !instance.receivings[plan.sources[s].incoming].arrived)
            peers.push_back(plan.sources[s].peer);
      } else {
        for (uint32_t g = work.first; g < work.first + work.count; ++g)
          for (uint32_t t = plan.groups[g].first; t < plan.groups[g].first + plan.groups[g].count; ++t)
            if (instance.postings[t].turn != instance.turn || instance.payloads[g].outstanding > 0) peers.push_back(plan.targets[t].peer);
      }
    }
  }
  std::sort(peers.begin(), peers.end());
  peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
  return peers;
}

}  // namespace tutti

// execution: see execution.h.
#include "lib/exec/execution.h"

#include <cstring>

namespace tutti {

// The last call once more, but for addresses.
bool Execution::cut_before() const {
  return cut_plan_ == operation_.plan && cut_count_ == operation_.input_layout.count && cut_type_ == operation_.type &&
         operation_.input_layout.counts.empty();
}

void Execution::cut(size_t tile_bytes, uint32_t window) {
  const Plan& plan = *operation_.plan;
  ++shape_;
  cut_plan_ = operation_.input_layout.counts.empty() ? &plan : nullptr;
  cut_count_ = operation_.input_layout.count;
  cut_type_ = operation_.type;
  element_bytes_ = size_of(operation_.type);

  // The longest message of a tile is largest_message pieces: that, and nothing a single rank knows, decides the slice.
  tiling_.pieces = plan.chunks / plan.blocks;
  piece_ = std::max<size_t>(1, tile_bytes / element_bytes_ / plan.largest_message);
  tiling_.slice = piece_ * tiling_.pieces;
  size_t longest = cut_count_;
  for (const Layout* layout : {&operation_.input_layout, &operation_.output_layout})
    for (size_t count : layout->counts) longest = std::max(longest, count);
  tiling_.tiles = Tiling::tiles_of(longest, tiling_.slice);
  tiling_.slice = std::min(tiling_.slice, std::max<size_t>(longest, 1));
  window_ = static_cast<uint32_t>(std::min<uint64_t>(window, tiling_.tiles));
  if (instances_.size() < window_) instances_.resize(window_);
  lanes_.resize(plan.lanes.size());
  pointers_.resize(plan.most_sources);
}

void Execution::start(std::span<LaneCount> lanes, size_t tile_bytes, uint32_t window) {
  if (!cut_before()) cut(tile_bytes, window);
  const Plan& plan = *operation_.plan;
  LaneBase* base = lanes_.data();
  for (const Lane& lane : plan.lanes) {
    LaneCount& count = lanes[static_cast<size_t>(lane.peer) * kLanes + lane.channel];
    *base = {count.sent, count.received, tiling_.tiles, tiling_.tiles};
    if (operation_.paired) {
      const uint32_t peer = static_cast<uint32_t>(lane.peer);
      base->send_tiles = Tiling::tiles_of(operation_.input_layout.count_of(peer), piece_);
      base->receive_tiles = Tiling::tiles_of(operation_.output_layout.count_of(peer), piece_);
    }
    count.sent += static_cast<uint32_t>(base->send_tiles * lane.sends);
    count.received += static_cast<uint32_t>(base->receive_tiles * lane.receives);
    ++base;
  }
  next_tile_ = tiles_done_ = 0;
  for (uint32_t i = 0; i < window_; ++i) begin(instances_[i], next_tile_++);
}

void Execution::begin(Instance& instance, uint64_t tile) {
  if (instance.shape != shape_ || instance.tile != tile) {
    instance.tile = tile;
    lay_out(instance);
  }
  const Plan& plan = *operation_.plan;
  instance.works_left = static_cast<uint32_t>(plan.works.size());
  instance.started_count = 0;
  for (const uint32_t root : plan.roots) instance.started[instance.started_count++] = root;
}

// Everything about a tile that does not depend on addresses.
void Execution::lay_out(Instance& instance) {
  const Plan& plan = *operation_.plan;
  if (instance.shape != shape_) {
    instance.shape = shape_;
    instance.started.resize(plan.works.size());
    instance.waiting = plan.dependencies;
    instance.sendings.assign(plan.groups.size(), {});
    instance.posted.assign(plan.targets.size(), 0);
    instance.receivings.assign(plan.incomings, {});
    instance.works.resize(plan.works.size());
    instance.sources.resize(plan.sources.size());
  }
  const size_t scratch_bytes = plan.scratch_copies * plan.blocks * tiling_.slice * element_bytes_;
  if (instance.scratch.size() < scratch_bytes) instance.scratch.resize(scratch_bytes);
  size_t landing_bytes = 0;
  for (size_t w = 0; w < plan.works.size(); ++w) {
    const PlanWork& work = plan.works[w];
    instance.works[w] = place_of(instance, work.ref, work.chunks);
    if (work.kind == Work::Kind::Send) continue;
    for (uint32_t i = work.first; i < work.first + work.count; ++i) {
      const PlanSource& source = plan.sources[i];
      if (!source.endpoint) {
        instance.sources[i] = place_of(instance, source.ref, work.chunks);
        continue;
      }
      Receiving& receiving = instance.receivings[source.incoming];
      receiving.wire.channel = source.channel;
      if (!source.lands) continue;
      receiving.capacity = instance.works[w].count * element_bytes_;
      landing_bytes += receiving.capacity;
    }
  }
  if (instance.landing.size() < landing_bytes) instance.landing.resize(landing_bytes);
  std::byte* landing = instance.landing.data();
  for (Receiving& receiving : instance.receivings) {
    receiving.landing = landing;
    landing += receiving.capacity;
  }
}

Progress Execution::advance(bool& moved) {
  const Plan& plan = *operation_.plan;
  for (uint32_t i = 0; i < window_; ++i) {
    Instance& instance = instances_[i];
    if (instance.works_left == 0) continue;
    for (uint32_t at = 0; at < instance.started_count;) {
      const PlanWork& work = plan.works[instance.started[at]];
      const Progress progress = work.kind == Work::Kind::Send ? send(instance, work, moved) : receive(instance, work, moved);
      if (progress == Progress::Again) {
        ++at;
        continue;
      }
      if (progress == Progress::Failed) return Progress::Failed;
      moved = true;
      instance.started[at] = instance.started[--instance.started_count];
      finish(instance, work);
    }
    if (instance.works_left > 0) continue;
    if (operation_.divisor > 1) divide_output(instance);
    ++tiles_done_;
    if (next_tile_ < tiling_.tiles) begin(instance, next_tile_++);
  }
  return tiles_done_ == tiling_.tiles ? Progress::Done : Progress::Again;
}

// Starts the works that waited for this one alone.
void Execution::finish(Instance& instance, const PlanWork& work) {
  const Plan& plan = *operation_.plan;
  --instance.works_left;
  for (uint32_t d = work.first_dependent; d < work.first_dependent + work.dependents; ++d) {
    const uint32_t next = plan.dependents[d];
    if (--instance.waiting[next] > 0) continue;
    instance.waiting[next] = plan.dependencies[next];
    instance.started[instance.started_count++] = next;
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

Execution::Place Execution::place_of(const Instance& instance, Ref ref, uint32_t chunks) const {
  Place place{0, 0, ref.chunk % tiling_.pieces + chunks <= tiling_.pieces};
  for_each_block(ref, chunks, [&](uint32_t offset, uint32_t run) {
    const Range range = locate(instance, {ref.buffer, ref.chunk + offset}, run);
    place.element = range.begin;
    place.count += range.count;
  });
  return place;
}

void Execution::pack(Outgoing& outgoing, std::byte* to) {
  const Sending& sending = static_cast<Sending&>(outgoing);
  const Execution& self = *sending.execution;
  const Ref ref = sending.work->ref;
  self.for_each_block(ref, sending.work->chunks, [&](uint32_t offset, uint32_t run) {
    const Range range = self.locate(*sending.instance, {ref.buffer, ref.chunk + offset}, run);
    const std::byte* from = self.address(*sending.instance, ref.buffer, range.begin);
    const size_t bytes = range.count * self.element_bytes_;
    if (self.operation_.scale && ref.buffer == Buffer::Input) {
      scale(to, from, range.count, *self.operation_.scale);
    } else if (bytes > 0) {
      std::memcpy(to, from, bytes);
    }
    to += bytes;
  });
}

// The result goes where it belongs and into the payload at once.
void Execution::pack_combined(Outgoing& outgoing, std::byte* to) {
  Sending& sending = static_cast<Sending&>(outgoing);
  Execution& self = *sending.execution;
  self.combine_all(*sending.instance, *sending.combine, to);
  self.set_payload(sending);  // for what is still to be posted
}

void Execution::set_payload(Sending& sending) {
  const Ref ref = sending.work->ref;
  const Place& whole = place(*sending.instance, *sending.work);
  const bool scaled = operation_.scale && ref.buffer == Buffer::Input;
  sending.bytes = whole.count * element_bytes_;
  sending.contiguous = nullptr;
  sending.pack = &Execution::pack;
  if (whole.one && !scaled) sending.contiguous = address(*sending.instance, ref.buffer, whole.element);
  if (sending.bytes == 0) sending.contiguous = reinterpret_cast<const std::byte*>(this);  // never read; no null for memcpy
}

void Execution::start_send(Instance& instance, const PlanWork& work, uint32_t group) {
  Sending& sending = instance.sendings[group];
  sending.execution = this;
  sending.instance = &instance;
  sending.work = &work;
  sending.posts_left = operation_.plan->groups[group].count;
  sending.outstanding = 0;
  sending.handle = 0;
  set_payload(sending);
}

Progress Execution::post(Instance& instance, Sending& sending, uint32_t index) {
  const Plan& plan = *operation_.plan;
  const PlanTarget& target = plan.targets[index];
  const LaneBase& lane = lanes_[target.lane];
  if (instance.tile < lane.send_tiles) {
    const uint32_t number =
        lane.send_base + static_cast<uint32_t>(instance.tile * plan.lanes[target.lane].sends) + target.message;
    const Progress progress = target.endpoint->post(sending, {number, target.channel, operation_.signature});
    if (progress == Progress::Failed) {
      failed_peer_ = target.peer;
      failure_ = target.endpoint->failure();
    }
    if (progress != Progress::Done) return progress;
  }
  instance.posted[index] = 1;
  return Progress::Done;
}

// Posts to every target that takes it now, in any order: a peer that is behind must not keep the others waiting.
Progress Execution::send(Instance& instance, const PlanWork& work, bool& moved) {
  const Plan& plan = *operation_.plan;
  bool all = true;
  for (uint32_t g = work.first; g < work.first + work.count; ++g) {
    Sending& sending = instance.sendings[g];
    if (!sending.work) start_send(instance, work, g);
    for (uint32_t i = plan.groups[g].first; i < plan.groups[g].first + plan.groups[g].count; ++i) {
      if (instance.posted[i]) continue;
      const Progress progress = post(instance, sending, i);
      if (progress == Progress::Failed) return progress;
      progress == Progress::Done ? moved = true : all = false;
    }
    all &= sending.outstanding == 0;
  }
  if (!all) return Progress::Again;
  for (uint32_t g = work.first; g < work.first + work.count; ++g) {
    instance.sendings[g].work = nullptr;
    for (uint32_t i = 0; i < plan.groups[g].count; ++i) instance.posted[plan.groups[g].first + i] = 0;
  }
  return Progress::Done;
}

// A Combine runs when all its messages are there.
Progress Execution::receive(Instance& instance, const PlanWork& work, bool& moved) {
  const Plan& plan = *operation_.plan;
  bool all = true;
  for (uint32_t i = work.first; i < work.first + work.count; ++i) {
    const PlanSource& source = plan.sources[i];
    if (!source.endpoint) continue;
    Receiving& receiving = instance.receivings[source.incoming];
    if (receiving.arrived) continue;
    const LaneBase& lane = lanes_[source.lane];
    if (instance.tile >= lane.receive_tiles) return Progress::Done;  // paired: this peer's part has ended
    receiving.wire.number =
        lane.receive_base + static_cast<uint32_t>(instance.tile * plan.lanes[source.lane].receives) + source.message;
    const Progress progress = source.endpoint->receive(receiving);
    if (progress == Progress::Again) {
      all = false;
      if (source.lands) continue;  // the receive of every source has to be posted
      return Progress::Again;
    }
    if (progress == Progress::Failed || !fits(instance, work, receiving)) [[unlikely]] {
      failed_peer_ = source.peer;
      if (progress == Progress::Failed) failure_ = source.endpoint->failure();
      return Progress::Failed;
    }
    receiving.arrived = true;
    moved = true;
  }
  if (!all) return Progress::Again;
  if (work.feeds == kNoWork || !feed(instance, work)) combine_all(instance, work, nullptr);
  for (uint32_t i = work.first; i < work.first + work.count; ++i) {
    const PlanSource& source = plan.sources[i];
    if (!source.endpoint) continue;
    Receiving& receiving = instance.receivings[source.incoming];
    source.endpoint->release(receiving);
    receiving.arrived = false;
    receiving.handle = nullptr;
  }
  return Progress::Done;
}

// Whether a message is of this call, and as long as it should be. If not, the failure is noted.
bool Execution::fits(const Instance& instance, const PlanWork& work, const Receiving& receiving) {
  const size_t expected = place(instance, work).count * element_bytes_;
  if (receiving.view.signature == operation_.signature && receiving.view.bytes == expected) [[likely]]
    return true;
  if (receiving.view.signature != operation_.signature) {
    mismatch_ = receiving.view.signature;
  } else {
    failure_ = fail(Code::InvalidUsage, "a message of ", receiving.view.bytes, " bytes came where ", expected, " were expected");
  }
  return false;
}

// A Combine and the Send of its result in one pass, if the transport takes the message now. False: the Combine is still to be
// done, and the Send goes its own way; so this never waits for anything that the Combine alone would not wait for.
bool Execution::feed(Instance& instance, const PlanWork& work) {
  const Plan& plan = *operation_.plan;
  const PlanWork& next = plan.works[work.feeds];
  const PostGroup& group = plan.groups[next.first];
  if (!group.copies || operation_.paired || place(instance, work).count == 0) return false;
  start_send(instance, next, next.first);
  Sending& sending = instance.sendings[next.first];
  sending.combine = &work;
  sending.contiguous = nullptr;
  sending.pack = &Execution::pack_combined;
  if (post(instance, sending, group.first) == Progress::Done) return true;
  sending.work = nullptr;
  return false;
}

std::vector<int> Execution::waiting_for() const {
  std::vector<int> peers;
  const Plan& plan = *operation_.plan;
  for (uint32_t i = 0; i < window_ && i < instances_.size(); ++i) {
    const Instance& instance = instances_[i];
    if (instance.works_left == 0) continue;
    for (uint32_t index : instance.started) {
      const PlanWork& work = plan.works[index];
      if (work.kind == Work::Kind::Combine) {
        for (uint32_t s = work.first; s < work.first + work.count; ++s)
          if (plan.sources[s].endpoint && !instance.receivings[plan.sources[s].incoming].arrived)
            peers.push_back(plan.sources[s].peer);
      } else {
        for (uint32_t g = work.first; g < work.first + work.count; ++g)
          for (uint32_t t = plan.groups[g].first; t < plan.groups[g].first + plan.groups[g].count; ++t)
            if (!instance.posted[t]) peers.push_back(plan.targets[t].peer);
      }
    }
  }
  std::sort(peers.begin(), peers.end());
  peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
  return peers;
}

}  // namespace tutti

// execution: see execution.h.
#include "lib/exec/execution.h"

#include <cstring>

namespace tutti {

void Execution::cut(size_t tile_bytes, uint32_t window) {
  const Plan& plan = *operation_.plan;
  const size_t element_bytes = size_of(operation_.type);
  const bool uniform = operation_.input_layout.counts.empty();
  if (uniform && cut_plan_ == &plan && cut_count_ == operation_.input_layout.count && element_bytes_ == element_bytes) return;
  ++shape_;
  cut_plan_ = uniform ? &plan : nullptr;
  cut_count_ = operation_.input_layout.count;
  element_bytes_ = element_bytes;

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
}

void Execution::start(std::span<LaneCount> lanes, size_t tile_bytes, uint32_t window) {
  cut(tile_bytes, window);
  const Plan& plan = *operation_.plan;
  for (size_t i = 0; i < plan.lanes.size(); ++i) {
    const Lane& lane = plan.lanes[i];
    LaneCount& count = lanes[static_cast<size_t>(lane.peer) * kLanes + lane.channel];
    LaneBase& base = lanes_[i];
    base = {count.sent, count.received, tiling_.tiles, tiling_.tiles};
    if (operation_.paired) {
      const uint32_t peer = static_cast<uint32_t>(lane.peer);
      base.send_tiles = Tiling::tiles_of(operation_.input_layout.count_of(peer), piece_);
      base.receive_tiles = Tiling::tiles_of(operation_.output_layout.count_of(peer), piece_);
    }
    count.sent += static_cast<uint32_t>(base.send_tiles * lane.sends);
    count.received += static_cast<uint32_t>(base.receive_tiles * lane.receives);
  }
  next_tile_ = tiles_done_ = 0;
  failed_peer_ = -1;
  mismatch_.reset();
  failure_ = {};
  for (uint32_t i = 0; i < window_; ++i) begin(instances_[i], next_tile_++);
}

void Execution::begin(Instance& instance, uint64_t tile) {
  const Plan& plan = *operation_.plan;
  if (instance.shape != shape_ || instance.tile != tile) {
    instance.tile = tile;
    lay_out(instance);
  }
  instance.works_left = static_cast<uint32_t>(plan.works.size());
  instance.waiting = plan.dependencies;
  instance.started = plan.roots;
  for (Sending& sending : instance.sendings) sending.instance = nullptr;  // not started
  std::fill(instance.posted.begin(), instance.posted.end(), 0);
  for (Receiving& receiving : instance.receivings) {
    receiving.arrived = false;
    receiving.handle = nullptr;
  }
}

// Everything about a tile that does not depend on addresses.
void Execution::lay_out(Instance& instance) {
  const Plan& plan = *operation_.plan;
  instance.shape = shape_;
  instance.sendings.resize(plan.groups.size());
  instance.posted.resize(plan.targets.size());
  instance.receivings.assign(plan.incomings, {});
  instance.works.resize(plan.works.size());
  instance.sources.resize(plan.sources.size());
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
      } else if (source.lands) {
        Receiving& receiving = instance.receivings[source.incoming];
        receiving.capacity = instance.works[w].count * element_bytes_;
        landing_bytes += receiving.capacity;
      }
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
    for (size_t at = 0; at < instance.started.size();) {
      const PlanWork& work = plan.works[instance.started[at]];
      const Progress progress = work.kind == Work::Kind::Send ? send(instance, work, moved) : receive(instance, work, moved);
      if (progress == Progress::Failed) return Progress::Failed;
      if (progress == Progress::Again) {
        ++at;
        continue;
      }
      moved = true;
      --instance.works_left;
      instance.started[at] = instance.started.back();
      instance.started.pop_back();
      for (uint32_t d = work.first_dependent; d < work.first_dependent + work.dependents; ++d)
        if (--instance.waiting[plan.dependents[d]] == 0) instance.started.push_back(plan.dependents[d]);
    }
    if (instance.works_left > 0) continue;
    if (operation_.divisor > 1) divide_output(instance);
    ++tiles_done_;
    if (next_tile_ < tiling_.tiles) begin(instance, next_tile_++);
  }
  return tiles_done_ == tiling_.tiles ? Progress::Done : Progress::Again;
}

// Visits a run block by block: within one block, a run of chunks is one range of elements.
template <typename Visit>
void Execution::for_each_block(Ref ref, uint32_t chunks, Visit visit) const {
  for (uint32_t offset = 0; offset < chunks;) {
    const uint32_t piece = (ref.chunk + offset) % tiling_.pieces;
    const uint32_t run = std::min(chunks - offset, tiling_.pieces - piece);
    visit(offset, run);
    offset += run;
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

void Execution::pack(const Outgoing& outgoing, std::byte* to) {
  const Sending& sending = static_cast<const Sending&>(outgoing);
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

void Execution::start_send(Instance& instance, const PlanWork& work, uint32_t group) {
  Sending& sending = instance.sendings[group];
  sending = {};
  sending.execution = this;
  sending.instance = &instance;
  sending.work = &work;
  sending.pack = &Execution::pack;
  sending.posts_left = operation_.plan->groups[group].count;
  const Place& place = instance.works[static_cast<size_t>(&work - operation_.plan->works.data())];
  const bool scaled = operation_.scale && work.ref.buffer == Buffer::Input;
  sending.bytes = place.count * element_bytes_;
  if (place.one && !scaled) sending.contiguous = address(instance, work.ref.buffer, place.element);
  if (sending.bytes == 0) sending.contiguous = reinterpret_cast<const std::byte*>(this);  // never read; no null for memcpy
}

// Posts to every target that takes it now, in any order: a peer that is behind must not keep the others waiting.
Progress Execution::send(Instance& instance, const PlanWork& work, bool& moved) {
  const Plan& plan = *operation_.plan;
  bool all = true;
  for (uint32_t g = work.first; g < work.first + work.count; ++g) {
    Sending& sending = instance.sendings[g];
    if (!sending.instance) start_send(instance, work, g);
    for (uint32_t i = plan.groups[g].first; i < plan.groups[g].first + plan.groups[g].count; ++i) {
      if (instance.posted[i]) continue;
      const PlanTarget& target = plan.targets[i];
      const LaneBase& lane = lanes_[target.lane];
      if (instance.tile < lane.send_tiles) {
        const uint32_t number =
            lane.send_base + static_cast<uint32_t>(instance.tile * plan.lanes[target.lane].sends) + target.message;
        const Progress progress = target.endpoint->post(sending, {number, target.channel, operation_.signature});
        if (progress == Progress::Again) {
          all = false;
          continue;
        }
        if (progress == Progress::Failed) {
          failed_peer_ = target.peer;
          failure_ = target.endpoint->failure();
          return Progress::Failed;
        }
      }
      instance.posted[i] = 1;
      moved = true;
    }
    all &= sending.outstanding == 0;
  }
  return all ? Progress::Done : Progress::Again;
}

// A Combine runs when all its messages are there.
Progress Execution::receive(Instance& instance, const PlanWork& work, bool& moved) {
  const Plan& plan = *operation_.plan;
  bool all = true;
  for (uint32_t i = work.first; i < work.first + work.count; ++i) {
    const PlanSource& source = plan.sources[i];
    if (!source.endpoint) continue;
    const LaneBase& lane = lanes_[source.lane];
    if (instance.tile >= lane.receive_tiles) return Progress::Done;  // paired: this peer's part has ended
    Receiving& receiving = instance.receivings[source.incoming];
    if (receiving.arrived) continue;
    receiving.wire.number =
        lane.receive_base + static_cast<uint32_t>(instance.tile * plan.lanes[source.lane].receives) + source.message;
    receiving.wire.channel = source.channel;
    const Progress progress = source.endpoint->receive(receiving);
    if (progress == Progress::Again) {
      all = false;
      if (source.lands) continue;  // the receive of every source has to be posted
      return Progress::Again;
    }
    failed_peer_ = source.peer;
    if (progress == Progress::Failed) {
      failure_ = source.endpoint->failure();
      return Progress::Failed;
    }
    if (receiving.view.signature != operation_.signature) {
      mismatch_ = Mismatch{source.peer, receiving.view.signature};
      return Progress::Failed;
    }
    const size_t expected = instance.works[static_cast<size_t>(&work - plan.works.data())].count * element_bytes_;
    if (receiving.view.bytes != expected) {
      failure_ = fail(Code::InvalidUsage, "rank ", source.peer, " sent ", receiving.view.bytes, " bytes where ", expected,
                      " were expected");
      return Progress::Failed;
    }
    failed_peer_ = -1;
    receiving.arrived = true;
    moved = true;
  }
  if (!all) return Progress::Again;
  combine_all(instance, work);
  for (uint32_t i = work.first; i < work.first + work.count; ++i)
    if (plan.sources[i].endpoint) plan.sources[i].endpoint->release(instance.receivings[plan.sources[i].incoming]);
  return Progress::Done;
}

void Execution::combine_all(Instance& instance, const PlanWork& work) {
  const Place& place = instance.works[static_cast<size_t>(&work - operation_.plan->works.data())];
  if (place.one) {
    combine_run(instance, work, place.element, place.count, 0, [&](uint32_t source) { return instance.sources[source].element; });
    return;
  }
  size_t message_offset = 0;
  for_each_block(work.ref, work.chunks, [&](uint32_t offset, uint32_t run) {
    const Range range = locate(instance, {work.ref.buffer, work.ref.chunk + offset}, run);
    combine_run(instance, work, range.begin, range.count, message_offset, [&](uint32_t source) {
      const Ref ref = operation_.plan->sources[source].ref;
      return locate(instance, {ref.buffer, ref.chunk + offset}, run).begin;
    });
    message_offset += range.count * element_bytes_;
  });
}

// The part of a Combine that lies in one place. element_of(source): where a local source lies.
template <typename ElementOf>
void Execution::combine_run(Instance& instance, const PlanWork& work, size_t element, size_t count, size_t message_offset,
                            ElementOf element_of) {
  const Plan& plan = *operation_.plan;
  std::byte* to = address(instance, work.ref.buffer, element);
  pointers_.clear();
  size_t scaled = SIZE_MAX;
  for (uint32_t i = work.first; i < work.first + work.count; ++i) {
    const PlanSource& source = plan.sources[i];
    if (source.endpoint) {
      pointers_.push_back(instance.receivings[source.incoming].view.data + message_offset);
      continue;
    }
    if (source.ref.buffer == Buffer::Input && operation_.scale) scaled = pointers_.size();
    pointers_.push_back(address(instance, source.ref.buffer, element_of(i)));
  }
  if (scaled != SIZE_MAX) {
    combine_scaled(to, pointers_, scaled, count);
  } else if (operation_.streaming && work.dependents == 0) {
    combine_streaming(to, pointers_, count, operation_.type, operation_.op);
  } else if (pointers_.size() > 1 || pointers_[0] != to) {
    combine(to, pointers_, count, operation_.type, operation_.op);
  }
}

// One of the sources is this rank's Input, to be multiplied first: block by block through a buffer that stays in L1.
void Execution::combine_scaled(std::byte* to, std::vector<const std::byte*>& from, size_t scaled, size_t count) const {
  constexpr size_t kBlock = 512;
  alignas(64) std::byte block[kBlock * 8];
  if (from.size() == 1) return scale(to, from[0], count, *operation_.scale);
  const std::byte* input = from[scaled];
  from[scaled] = block;
  for (size_t done = 0; done < count;) {
    const size_t now = std::min(kBlock, count - done);
    scale(block, input + done * element_bytes_, now, *operation_.scale);
    combine(to + done * element_bytes_, from, now, operation_.type, operation_.op);
    done += now;
    for (size_t i = 0; i < from.size(); ++i)
      if (i != scaled) from[i] += now * element_bytes_;
  }
}

void Execution::divide_output(const Instance& instance) const {
  const Ref first{Buffer::Output, operation_.divide_first};
  for_each_block(first, operation_.divide_chunks, [&](uint32_t offset, uint32_t run) {
    const Range range = locate(instance, {Buffer::Output, first.chunk + offset}, run);
    divide(address(instance, Buffer::Output, range.begin), range.count, operation_.type, operation_.divisor);
  });
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

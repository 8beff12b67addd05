// execution: see execution.h.
#include "lib/exec/execution.h"

#include <cstring>

namespace tutti {

void Execution::cut(size_t tile_bytes, uint32_t window) {
  const Plan& plan = *operation_.plan;
  const size_t element_bytes = size_of(operation_.type);
  const bool uniform = operation_.input_layout.counts.empty();
  if (uniform && cut_plan_ == &plan && cut_count_ == operation_.input_layout.count && element_bytes_ == element_bytes) return;
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
  instance.tile = tile;
  instance.works_left = static_cast<uint32_t>(plan.works.size());
  instance.waiting = plan.dependencies;
  instance.started = plan.roots;
  instance.sendings.resize(plan.groups.size());
  for (Sending& sending : instance.sendings) sending.instance = nullptr;  // not started
  instance.posted.assign(plan.targets.size(), 0);
  instance.receivings.resize(plan.incomings);
  for (Receiving& receiving : instance.receivings) receiving = {};
  const size_t copy_bytes = plan.blocks * tiling_.slice * element_bytes_;
  if (instance.scratch.size() < plan.scratch_copies * copy_bytes) instance.scratch.resize(plan.scratch_copies * copy_bytes);
  if (!plan.lands) return;
  size_t landing_bytes = 0;
  for (const PlanWork& work : plan.works)
    if (work.kind == Work::Kind::Combine) landing_bytes += work.count * bytes_of(instance, work.ref, work.chunks);
  if (instance.landing.size() < landing_bytes) instance.landing.resize(landing_bytes);
  std::byte* landing = instance.landing.data();
  for (const PlanWork& work : plan.works) {
    if (work.kind != Work::Kind::Combine) continue;
    const size_t bytes = bytes_of(instance, work.ref, work.chunks);
    for (uint32_t i = work.first; i < work.first + work.count; ++i) {
      if (!plan.sources[i].endpoint) continue;
      Receiving& receiving = instance.receivings[plan.sources[i].incoming];
      receiving.landing = landing;
      receiving.capacity = bytes;
      landing += bytes;
    }
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

std::byte* Execution::address(const Instance& instance, Ref ref, uint32_t run, size_t& count) const {
  if (ref.buffer == Buffer::Scratch) {
    const uint32_t chunks = operation_.plan->chunks;
    const uint32_t copy = ref.chunk / chunks, chunk = ref.chunk % chunks, block = chunk / tiling_.pieces;
    const Range whole = range_of(operation_.output_layout, tiling_, instance.tile, block * tiling_.pieces, tiling_.pieces);
    const Range range = range_of(operation_.output_layout, tiling_, instance.tile, chunk, run);
    count = range.count;
    const size_t element = (static_cast<size_t>(copy) * operation_.plan->blocks + block) * tiling_.slice + range.begin - whole.begin;
    return const_cast<std::byte*>(instance.scratch.data()) + element * element_bytes_;
  }
  const Range range = range_of(layout_of(ref.buffer), tiling_, instance.tile, ref.chunk, run);
  count = range.count;
  const uintptr_t base = ref.buffer == Buffer::Input ? operation_.input : operation_.output;
  return reinterpret_cast<std::byte*>(base + range.begin * element_bytes_);
}

size_t Execution::bytes_of(const Instance& instance, Ref ref, uint32_t chunks) const {
  size_t total = 0;
  for_each_block(ref, chunks, [&](uint32_t offset, uint32_t run) {
    size_t count;
    address(instance, {ref.buffer, ref.chunk + offset}, run, count);
    total += count;
  });
  return total * element_bytes_;
}

void Execution::pack(const Outgoing& outgoing, std::byte* to) {
  const Sending& sending = static_cast<const Sending&>(outgoing);
  const Execution& self = *sending.execution;
  const Ref ref = sending.work->ref;
  self.for_each_block(ref, sending.work->chunks, [&](uint32_t offset, uint32_t run) {
    size_t count;
    const std::byte* from = self.address(*sending.instance, {ref.buffer, ref.chunk + offset}, run, count);
    const size_t bytes = count * self.element_bytes_;
    if (self.operation_.scale && ref.buffer == Buffer::Input) {
      scale(to, from, count, *self.operation_.scale);
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
  const bool scaled = operation_.scale && work.ref.buffer == Buffer::Input;
  const bool one_block = work.ref.chunk % tiling_.pieces + work.chunks <= tiling_.pieces;
  if (one_block) {
    size_t count;
    const std::byte* from = address(instance, work.ref, work.chunks, count);
    sending.bytes = count * element_bytes_;
    if (!scaled) sending.contiguous = from;
  } else {
    sending.bytes = bytes_of(instance, work.ref, work.chunks);
  }
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
    const size_t expected = bytes_of(instance, work.ref, work.chunks);
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
  const Plan& plan = *operation_.plan;
  size_t message_offset = 0;
  for_each_block(work.ref, work.chunks, [&](uint32_t offset, uint32_t run) {
    size_t count;
    std::byte* to = address(instance, {work.ref.buffer, work.ref.chunk + offset}, run, count);
    pointers_.clear();
    size_t scaled = SIZE_MAX;
    for (uint32_t i = work.first; i < work.first + work.count; ++i) {
      const PlanSource& source = plan.sources[i];
      if (source.endpoint) {
        pointers_.push_back(instance.receivings[source.incoming].view.data + message_offset);
        continue;
      }
      size_t same_count;
      if (source.ref.buffer == Buffer::Input && operation_.scale) scaled = pointers_.size();
      pointers_.push_back(address(instance, {source.ref.buffer, source.ref.chunk + offset}, run, same_count));
    }
    message_offset += count * element_bytes_;
    if (scaled != SIZE_MAX) {
      combine_scaled(to, pointers_, scaled, count);
    } else if (pointers_.size() > 1 || pointers_[0] != to) {
      combine(to, pointers_, count, operation_.type, operation_.op);
    }
  });
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
    size_t count;
    std::byte* data = address(instance, {Buffer::Output, first.chunk + offset}, run, count);
    divide(data, count, operation_.type, operation_.divisor);
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

// send: what an execution does for the Sends of a plan: a payload is sent from where it lies, packed, or made on the way.
#include "lib/exec/execution.h"

namespace tutti {

void Execution::pack(Outgoing& outgoing, Destination to) {
  const Payload& payload = static_cast<Payload&>(outgoing);
  const Execution& self = *payload.execution;
  const Ref ref = payload.work->ref;
  self.for_each_block(ref, payload.work->chunks, [&](uint32_t offset, uint32_t run) {
    const Range range = self.locate(*payload.instance, {ref.buffer, ref.chunk + offset}, run);
    const std::byte* from = self.address(*payload.instance, ref.buffer, range.begin);
    if (self.operation_.scale && ref.buffer == Buffer::Input) {
      Destination here = to;
      self.combine_scaled({&here, 1}, {&from, 1}, 0, range.count);
    } else if (range.count > 0) {
      write(to.at, from, range.count * self.element_bytes_, to.way);
    }
    to.at += range.count * self.element_bytes_;
  });
}

// The result goes where it belongs and into the payload at once.
void Execution::pack_combined(Outgoing& outgoing, Destination to) {
  Payload& payload = static_cast<Payload&>(outgoing);
  Execution& self = *payload.execution;
  self.payloads_.push_back(to);
  self.combine_all(*payload.instance, *payload.combine, *payload.combine);
  self.set_payload(payload);  // for what is still to be posted
}

void Execution::set_payload(Payload& payload) {
  const Ref ref = payload.work->ref;
  const Extent& whole = extent(*payload.instance, *payload.work);
  const bool scaled = operation_.scale && ref.buffer == Buffer::Input;
  payload.bytes = whole.count * element_bytes_;
  payload.combine = nullptr;
  payload.contiguous = nullptr;
  payload.pack = &Execution::pack;
  if (whole.one && !scaled) payload.contiguous = address(*payload.instance, ref.buffer, whole.element);
  if (payload.bytes == 0) payload.contiguous = reinterpret_cast<const std::byte*>(this);  // never read; no null for memcpy
}

void Execution::start_send(Instance& instance, const PlanWork& work, uint32_t group) {
  Payload& payload = instance.payloads[group];
  payload.execution = this;
  payload.instance = &instance;
  payload.work = &work;
  payload.posts_left = operation_.plan->groups[group].count;
  payload.outstanding = 0;
  payload.handle = 0;
  set_payload(payload);
}

Progress Execution::post(Instance& instance, Payload& payload, uint32_t index) {
  const PlanTarget& target = operation_.plan->targets[index];
  if (!operation_.paired || instance.tile < lanes_[target.lane].send_tiles) {
    const Wire wire = wire_of(instance, index);
    const Progress progress = target.endpoint->post(payload, wire);
    if (progress == Progress::Failed) {
      failed_peer_ = target.peer;
      failure_ = target.endpoint->failure();
    }
    if (progress != Progress::Done) return progress;
  }
  instance.postings[index].turn = instance.turn;
  return Progress::Done;
}

// Posts to every target that takes it now, in any order: a peer that is behind must not keep the others waiting.
Progress Execution::send(Instance& instance, const PlanWork& work, bool& moved) {
  const PostGroup* const groups = operation_.plan->groups.data();
  bool all = true;
  for (uint32_t g = work.first, last = work.first + work.count; g < last; ++g) {
    Payload& payload = instance.payloads[g];
    if (!payload.work) start_send(instance, work, g);
    for (uint32_t i = groups[g].first, end = i + groups[g].count; i < end; ++i) {
      if (instance.postings[i].turn == instance.turn) continue;
      const Progress progress = post(instance, payload, i);
      if (progress == Progress::Failed) return progress;
      progress == Progress::Done ? moved = true : all = false;
    }
    all &= payload.outstanding == 0;
  }
  if (!all) return Progress::Again;
  for (uint32_t g = work.first, last = work.first + work.count; g < last; ++g) instance.payloads[g].work = nullptr;
  return Progress::Done;
}

// A Combine and the Send of its result in one pass, if the transport takes the message now. False: the Combine is still to be
// done, and the Send goes its own way; so this never waits for anything that the Combine alone would not wait for.
bool Execution::combine_and_send(Instance& instance, const PlanWork& work) {
  const Plan& plan = *operation_.plan;
  const PlanWork& next = plan.works[work.into_send];
  const PostGroup& group = plan.groups[next.first];
  if (!group.copies || operation_.paired || extent(instance, work).count == 0) return false;
  start_send(instance, next, next.first);
  Payload& payload = instance.payloads[next.first];
  payloads_.clear();
  claimed_.clear();
  uint32_t other = group.first + group.count;  // the first target that has not said where it wants it
  for (uint32_t i = group.first + group.count; i-- > group.first;) {
    MappedEndpoint* const mapped = plan.targets[i].mapped;
    std::byte* const to = mapped && payload.bytes >= mapped->least_bytes() ? mapped->claim(wire_of(instance, i), payload.bytes) : nullptr;
    if (!to) {
      other = i;
      continue;
    }
    payloads_.push_back({to, operation_.streaming ? Way::Streamed : mapped->way(payload.bytes)});
    claimed_.push_back(i);
  }
  bool done = false;
  if (other < group.first + group.count) {
    payload.combine = &work;
    payload.contiguous = nullptr;
    payload.pack = &Execution::pack_combined;
    done = post(instance, payload, other) == Progress::Done;
  }
  if (!done) {
    set_payload(payload);
    if (claimed_.empty()) {
      payload.work = nullptr;
      return false;
    }
    combine_all(instance, work, work);
  }
  for (const uint32_t i : claimed_) {
    plan.targets[i].mapped->deliver(payload, wire_of(instance, i));
    instance.postings[i].turn = instance.turn;
  }
  return true;
}

}  // namespace tutti

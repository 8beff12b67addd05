// send: what an execution does for the Sends of a plan: a payload is sent from where it lies, packed, or made on the way.
#include <algorithm>
#include <cstring>

#include "lib/base/lines.h"
#include "lib/exec/execution.h"

namespace tutti {
namespace {

// A slot was last in its reader's cache.
void scale_into_slot(std::byte* to, const std::byte* from, size_t count, const Scale& factor) {
  const size_t element = size_of(factor.type), block = kLinesAheadBytes / element;
  take_lines(to, std::min(count, block) * element);
  for (size_t done = 0, now; done < count; done += now) {
    now = std::min(block, count - done);
    const size_t next = done + now;
    take_lines(to + next * element, std::min(block, count - next) * element);
    scale(to + done * element, from + done * element, now, factor);
  }
}

}  // namespace

void Execution::pack(Outgoing& outgoing, std::byte* to) {
  const Sending& sending = static_cast<Sending&>(outgoing);
  const Execution& self = *sending.execution;
  const Ref ref = sending.work->ref;
  self.for_each_block(ref, sending.work->chunks, [&](uint32_t offset, uint32_t run) {
    const Range range = self.locate(*sending.instance, {ref.buffer, ref.chunk + offset}, run);
    const std::byte* from = self.address(*sending.instance, ref.buffer, range.begin);
    const size_t bytes = range.count * self.element_bytes_;
    if (self.operation_.scale && ref.buffer == Buffer::Input) {
      scale_into_slot(to, from, range.count, *self.operation_.scale);
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
  self.payloads_.push_back({to});
  self.combine_all(*sending.instance, *sending.combine, *sending.combine);
  self.set_payload(sending);  // for what is still to be posted
}

void Execution::set_payload(Sending& sending) {
  const Ref ref = sending.work->ref;
  const Place& whole = place(*sending.instance, *sending.work);
  const bool scaled = operation_.scale && ref.buffer == Buffer::Input;
  sending.bytes = whole.count * element_bytes_;
  sending.combine = nullptr;
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
  const PlanTarget& target = operation_.plan->targets[index];
  if (!operation_.paired || instance.tile < lanes_[target.lane].send_tiles) {
    const Wire wire = wire_of(instance, index);
    const Progress progress = target.endpoint->post(sending, wire);
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
    Sending& sending = instance.sendings[g];
    if (!sending.work) start_send(instance, work, g);
    for (uint32_t i = groups[g].first, end = i + groups[g].count; i < end; ++i) {
      if (instance.postings[i].turn == instance.turn) continue;
      const Progress progress = post(instance, sending, i);
      if (progress == Progress::Failed) return progress;
      progress == Progress::Done ? moved = true : all = false;
    }
    all &= sending.outstanding == 0;
  }
  if (!all) return Progress::Again;
  for (uint32_t g = work.first, last = work.first + work.count; g < last; ++g) instance.sendings[g].work = nullptr;
  return Progress::Done;
}

// A Combine and the Send of its result in one pass, if the transport takes the message now. False: the Combine is still to be
// done, and the Send goes its own way; so this never waits for anything that the Combine alone would not wait for.
bool Execution::combine_and_send(Instance& instance, const PlanWork& work) {
  const Plan& plan = *operation_.plan;
  const PlanWork& next = plan.works[work.into_send];
  const PostGroup& group = plan.groups[next.first];
  if (!group.copies || operation_.paired || place(instance, work).count == 0) return false;
  start_send(instance, next, next.first);
  Sending& sending = instance.sendings[next.first];
  payloads_.clear();
  claimed_.clear();
  uint32_t other = group.first + group.count;  // the first target that has not said where it wants it
  for (uint32_t i = group.first + group.count; i-- > group.first;) {
    MappedEndpoint* const mapped = plan.targets[i].mapped;
    std::byte* const to = mapped && sending.bytes >= mapped->least_bytes() ? mapped->claim(wire_of(instance, i), sending.bytes) : nullptr;
    if (!to) {
      other = i;
      continue;
    }
    payloads_.push_back({to, operation_.streaming});
    claimed_.push_back(i);
  }
  bool done = false;
  if (other < group.first + group.count) {
    sending.combine = &work;
    sending.contiguous = nullptr;
    sending.pack = &Execution::pack_combined;
    done = post(instance, sending, other) == Progress::Done;
  }
  if (!done) {
    set_payload(sending);
    if (claimed_.empty()) {
      sending.work = nullptr;
      return false;
    }
    combine_all(instance, work, work);
  }
  for (const uint32_t i : claimed_) {
    plan.targets[i].mapped->deliver(sending, wire_of(instance, i));
    instance.postings[i].turn = instance.turn;
  }
  return true;
}

}  // namespace tutti

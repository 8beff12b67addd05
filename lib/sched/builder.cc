// builder: numbers messages and derives dependencies while an author writes steps one after the other.
//
// Per chunk of memory it remembers the last writer and the readers since. A read waits for the writer; a write waits for the
// readers, or for the writer if nobody has read. Work per step is its run's length plus the dependencies found, so a
// schedule of a thousand ranks costs milliseconds.
#include "lib/sched/builder.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace tutti {

Builder::Builder(const Problem& problem) : problem_(problem) {
  const size_t lanes = static_cast<size_t>(problem.ranks) * kChannels;
  sent_.resize(lanes);
  received_.resize(lanes);
  shape(blocks_of(problem.collective, problem.ranks));
}

void Builder::shape(uint32_t chunks, uint32_t scratch_copies, uint32_t largest_message) {
  assert(schedule_.steps.empty());
  assert(chunks > 0 && chunks % blocks_of(problem_.collective, problem_.ranks) == 0);
  schedule_.chunks = chunks;
  schedule_.scratch_copies = scratch_copies;
  schedule_.largest_message = largest_message;
  for (Buffer buffer : {Buffer::Input, Buffer::Output, Buffer::Scratch}) {
    const size_t copies = buffer == Buffer::Scratch ? scratch_copies : 1;
    memory_[static_cast<int>(buffer)].assign(chunks * copies, {});
  }
}

Builder::Touch& Builder::touched(Ref ref, uint32_t offset) {
  const bool aliased = problem_.in_place && ref.buffer == Buffer::Input;
  std::vector<Touch>& memory = memory_[static_cast<int>(aliased ? Buffer::Output : ref.buffer)];
  assert(ref.chunk + offset < memory.size());
  return memory[ref.chunk + offset];
}

// Collects what a read (or a write) of the run has to wait for.
void Builder::wait_for(Ref ref, uint32_t chunks, bool writes) {
  for (uint32_t i = 0; i < chunks; ++i) {
    const Touch& touch = touched(ref, i);
    if (writes && !touch.readers.empty())
      found_.insert(found_.end(), touch.readers.begin(), touch.readers.end());
    else if (touch.writer >= 0)
      found_.push_back(static_cast<uint32_t>(touch.writer));
  }
}

void Builder::add(Step step, bool reads_src, bool writes_dst) {
  assert(step.chunks > 0);
  const uint32_t index = static_cast<uint32_t>(schedule_.steps.size());
  found_.clear();
  if (reads_src) wait_for(step.src, step.chunks, false);
  if (writes_dst) wait_for(step.dst, step.chunks, true);
  std::sort(found_.begin(), found_.end());
  found_.erase(std::unique(found_.begin(), found_.end()), found_.end());

  const bool input_is_constant = !problem_.in_place && step.src.buffer == Buffer::Input;
  for (uint32_t i = 0; reads_src && !input_is_constant && i < step.chunks; ++i) {
    touched(step.src, i).readers.push_back(index);
  }
  for (uint32_t i = 0; writes_dst && i < step.chunks; ++i) {
    Touch& touch = touched(step.dst, i);
    touch.writer = index;
    touch.readers.clear();
  }
  schedule_.steps.push_back(step);
  schedule_.dependencies.push_back(found_);
}

void Builder::send(int peer, Ref src, uint32_t chunks, uint8_t channel) {
  assert(peer >= 0 && peer < problem_.ranks && peer != problem_.rank && channel < kChannels);
  uint32_t& number = sent_[static_cast<size_t>(peer) * kChannels + channel];
  add({Action::Send, channel, peer, src, {}, chunks, number++}, true, false);
}

void Builder::recv(int peer, Ref dst, uint32_t chunks, uint8_t channel) {
  assert(peer >= 0 && peer < problem_.ranks && peer != problem_.rank && channel < kChannels);
  uint32_t& number = received_[static_cast<size_t>(peer) * kChannels + channel];
  add({Action::Recv, channel, peer, {}, dst, chunks, number++}, false, true);
}

void Builder::recv_reduce(int peer, Ref dst, uint32_t chunks, uint8_t channel) {
  assert(peer >= 0 && peer < problem_.ranks && peer != problem_.rank && channel < kChannels);
  uint32_t& number = received_[static_cast<size_t>(peer) * kChannels + channel];
  add({Action::RecvReduce, channel, peer, {}, dst, chunks, number++}, false, true);
}

void Builder::copy(Ref src, Ref dst, uint32_t chunks) {
  add({Action::Copy, 0, -1, src, dst, chunks, 0}, true, true);
}

void Builder::reduce(Ref src, Ref dst, uint32_t chunks) {
  add({Action::Reduce, 0, -1, src, dst, chunks, 0}, true, true);
}

Schedule Builder::finish() {
  return std::move(schedule_);
}

}  // namespace tutti

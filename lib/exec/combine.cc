// combine: what an execution computes: the Combines of a plan, and the division at the end of an integer avg.
#include <cstring>

#include "lib/exec/execution.h"

namespace tutti {

// The result goes to the place of `to` in the buffers (of the work itself, or of the copy that it is for), and to payloads_.
void Execution::combine_all(Instance& instance, const PlanWork& work, const PlanWork& to) {
  const Extent& whole = extent(instance, to);
  if (whole.one) {
    combine_run(instance, work, to, {whole.element, whole.count}, 0,
                [&](uint32_t source) { return instance.sources[source].element; });
    return;
  }
  size_t offset_bytes = 0;
  for_each_block(to.ref, to.chunks, [&](uint32_t offset, uint32_t run) {
    const Range range = locate(instance, {to.ref.buffer, to.ref.chunk + offset}, run);
    combine_run(instance, work, to, range, offset_bytes, [&](uint32_t source) {
      const Ref ref = operation_.plan->sources[source].ref;
      return locate(instance, {ref.buffer, ref.chunk + offset}, run).begin;
    });
    offset_bytes += range.count * element_bytes_;
  });
}

// The part of a Combine that lies in one place; offset_bytes: of this part in messages. element_of(source): where a local source
// lies.
template <typename ElementOf>
void Execution::combine_run(Instance& instance, const PlanWork& work, const PlanWork& to, Range range, size_t offset_bytes,
                            ElementOf element_of) {
  const Plan& plan = *operation_.plan;
  const std::byte** const from = pointers_.data();
  size_t scaled = SIZE_MAX;
  for (uint32_t i = 0; i < work.count; ++i) {
    const PlanSource& source = plan.sources[work.first + i];
    if (source.endpoint) {
      from[i] = instance.receivings[source.incoming].view.data + offset_bytes;
    } else {
      if (source.ref.buffer == Buffer::Input && operation_.scale) scaled = i;
      from[i] = address(instance, source.ref.buffer, element_of(work.first + i));
    }
  }
  std::byte* const at = address(instance, to.ref.buffer, range.begin);
  // Who reads the result from where it belongs: a Send that is fed does not.
  const bool streamed = operation_.streaming && to.dependents == (payloads_.empty() ? 0 : 1);
  if (!payloads_.empty() || streamed || scaled != SIZE_MAX) {
    combine_places(work, {at, streamed ? Way::Streamed : Way::Plain}, offset_bytes, {from, work.count}, scaled, range.count);
  } else if (work.count > 1 || from[0] != at) {
    combine(at, {from, work.count}, range.count, operation_.type, operation_.op);
  }
}

void Execution::combine_places(const PlanWork& work, Destination to, size_t offset_bytes, std::span<const std::byte*> sources,
                               size_t scaled, size_t count) {
  places_.clear();
  // A message may have landed where it belongs.
  if (work.count > 1 || sources[0] != to.at || scaled != SIZE_MAX) places_.push_back(to);
  for (const Destination& payload : payloads_) places_.push_back({payload.at + offset_bytes, payload.way});
  if (places_.empty()) return;
  if (scaled == SIZE_MAX) return combine(places_, sources, count, operation_.type, operation_.op);
  combine_scaled(places_, sources, scaled, count);
}

// One of the sources is this rank's Input, to be multiplied first: block by block through a buffer that stays in L1.
void Execution::combine_scaled(std::span<Destination> to, std::span<const std::byte*> from, size_t scaled, size_t count) const {
  constexpr size_t kBlock = 2048;
  alignas(64) std::byte block[kBlock * 8];
  if (from.size() == 1 && to.size() == 1 && to[0].way == Way::Plain) return scale(to[0].at, from[0], count, *operation_.scale);
  const std::byte* input = from[scaled];
  from[scaled] = block;
  for (size_t done = 0; done < count;) {
    const size_t now = std::min(kBlock, count - done), bytes = now * element_bytes_;
    scale(block, input + done * element_bytes_, now, *operation_.scale);
    combine(to, from, now, operation_.type, operation_.op);
    done += now;
    for (Destination& destination : to) destination.at += bytes;
    for (size_t i = 0; i < from.size(); ++i)
      if (i != scaled) from[i] += bytes;
  }
}

void Execution::divide_output(const Instance& instance) const {
  const Ref first{Buffer::Output, operation_.divide_first};
  for_each_block(first, operation_.divide_chunks, [&](uint32_t offset, uint32_t run) {
    const Range range = locate(instance, {Buffer::Output, first.chunk + offset}, run);
    divide(address(instance, Buffer::Output, range.begin), range.count, operation_.type, operation_.divisor);
  });
}

}  // namespace tutti

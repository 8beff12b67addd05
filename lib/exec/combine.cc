// combine: what an execution computes: the Combines of a plan, and the division at the end of an integer avg.
#include <cstring>

#include "lib/exec/execution.h"

namespace tutti {

// payload: where the result goes besides, or null.
void Execution::combine_all(Instance& instance, const PlanWork& work, std::byte* payload) {
  const Place& whole = place(instance, work);
  if (whole.one) {
    combine_run(instance, work, {whole.element, whole.count}, payload, 0,
                [&](uint32_t source) { return instance.sources[source].element; });
    return;
  }
  size_t offset_bytes = 0;
  for_each_block(work.ref, work.chunks, [&](uint32_t offset, uint32_t run) {
    const Range range = locate(instance, {work.ref.buffer, work.ref.chunk + offset}, run);
    combine_run(instance, work, range, payload, offset_bytes, [&](uint32_t source) {
      const Ref ref = operation_.plan->sources[source].ref;
      return locate(instance, {ref.buffer, ref.chunk + offset}, run).begin;
    });
    offset_bytes += range.count * element_bytes_;
  });
}

// The part of a Combine that lies in one place; offset_bytes: of this part in messages and payload. element_of(source): where a
// local source lies.
template <typename ElementOf>
void Execution::combine_run(Instance& instance, const PlanWork& work, Range range, std::byte* payload, size_t offset_bytes,
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
  std::byte* const to = address(instance, work.ref.buffer, range.begin);
  const std::span<const std::byte*> sources(from, work.count);
  // Who reads the result from where it belongs: with a payload, the Send that is fed does not.
  const bool streamed = operation_.streaming && work.dependents == (payload ? 1 : 0);
  if (!payload && !streamed && scaled == SIZE_MAX) {
    if (work.count > 1 || from[0] != to) combine(to, sources, range.count, operation_.type, operation_.op);
    return;
  }
  Destination places[2] = {{to, streamed}};
  if (payload) places[1] = {payload + offset_bytes};
  const std::span<Destination> all(places, payload ? 2 : 1);
  if (scaled == SIZE_MAX) return combine(all, sources, range.count, operation_.type, operation_.op);
  combine_scaled(all, sources, scaled, range.count);
}

// One of the sources is this rank's Input, to be multiplied first: block by block through a buffer that stays in L1.
void Execution::combine_scaled(std::span<Destination> to, std::span<const std::byte*> from, size_t scaled, size_t count) const {
  constexpr size_t kBlock = 512;
  alignas(64) std::byte block[kBlock * 8];
  if (from.size() == 1 && to.size() == 1 && !to[0].streamed) return scale(to[0].at, from[0], count, *operation_.scale);
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

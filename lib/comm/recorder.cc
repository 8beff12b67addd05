// recorder: see recorder.h.
#include "lib/comm/recorder.h"

#include <algorithm>

namespace tutti {

void Recorder::note_stream(uint64_t first, uint64_t count, uint32_t stream) {
  stream = std::min(stream, (1u << kStreamBits) - 1);
  for (uint64_t number = first; number < first + count; ++number)
    streams_[number % kKept].store(number << kStreamBits | stream, std::memory_order_relaxed);
}

uint32_t Recorder::begin_single(uint64_t signature, uint64_t number, int peer, bool sends) {
  const uint64_t count = single_count_.load(std::memory_order_relaxed);
  const uint32_t place = static_cast<uint32_t>(count % kKept);
  Single& single = singles_[place];
  single.signature.store(signature, std::memory_order_relaxed);
  single.number.store(number, std::memory_order_relaxed);
  single.began.store(ticks(), std::memory_order_relaxed);
  single.ended.store(0, std::memory_order_relaxed);
  single.peer.store(peer, std::memory_order_relaxed);
  single.stream.store(single_stream_, std::memory_order_relaxed);
  single.sends.store(sends, std::memory_order_relaxed);
  single_count_.store(count + 1, std::memory_order_release);
  return place;
}

// More calls than kKept may be under way at once. Then the place may be that of a later call, which seems to end early.
void Recorder::end_single(uint32_t place) { singles_[place].ended.store(ticks(), std::memory_order_relaxed); }

std::vector<PastCall> Recorder::calls(uint64_t entered, uint64_t finished) const {
  std::vector<PastCall> all;
  const auto get = [](const auto& value) { return value.load(std::memory_order_relaxed); };
  for (uint64_t number = entered > kKept ? entered - kKept + 1 : 1; number <= entered; ++number) {
    const size_t at = number % kKept;
    const uint64_t stream = get(streams_[at]);
    const bool done = number <= finished;
    all.push_back({.signature = get(signatures_[at]), .number = number, .began = get(begins_[at]), .ended = done ? get(ends_[at]) : 0,
                   .finished = done, .single = false, .sends = false, .peer = -1,
                   .stream = stream >> kStreamBits == number ? static_cast<uint32_t>(stream & ((1u << kStreamBits) - 1)) : 0});
  }
  const uint64_t singles = single_count_.load(std::memory_order_acquire);
  for (uint64_t i = singles > kKept ? singles - kKept : 0; i < singles; ++i) {
    const Single& one = singles_[i % kKept];
    const uint64_t ended = get(one.ended);
    all.push_back({.signature = get(one.signature), .number = get(one.number), .began = get(one.began), .ended = ended, .finished = ended != 0,
                   .single = true, .sends = get(one.sends), .peer = get(one.peer), .stream = get(one.stream)});
  }
  std::stable_sort(all.begin(), all.end(), [](const PastCall& a, const PastCall& b) { return a.began < b.began; });
  if (all.size() > kKept) all.erase(all.begin(), all.end() - kKept);
  return all;
}

}  // namespace tutti

// bare: see bare.h.
#include "perf/bare.h"

#include <sched.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <cstring>

namespace tutti::perf {
namespace {

constexpr size_t kBlock = 1024;                    // floats that are added up in the first-level cache
constexpr size_t kStreamedFrom = size_t{4} << 20;  // bytes

// Not under ThreadSanitizer: the dynamic linker picks the clone before that has started, and the picking is instrumented too.
#if defined(__SANITIZE_THREAD__)
#define PERF_PLAIN
#elif defined(__has_feature)  // clang
#if __has_feature(thread_sanitizer)
#define PERF_PLAIN
#endif
#endif
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(PERF_PLAIN)
#define PERF_FOR_ALL __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define PERF_FOR_ALL
#endif

PERF_FOR_ALL void add_to(float* __restrict sum, const float* __restrict other, size_t count) {
  for (size_t i = 0; i < count; ++i) sum[i] += other[i];
}

void store(float* to, const float* from, size_t count, [[maybe_unused]] bool streamed) {
#if defined(__SSE2__)
  constexpr size_t kWide = 4;
  if (streamed && reinterpret_cast<uintptr_t>(to) % 16 == 0) {
    size_t i = 0;
    for (; i + kWide <= count; i += kWide) _mm_stream_ps(to + i, _mm_loadu_ps(from + i));
    to += i;
    from += i;
    count -= i;
  }
#endif
  std::memcpy(to, from, count * sizeof(float));
}

}  // namespace

std::span<const BareAllReduce::Way> BareAllReduce::ways(size_t bytes) {
  static constexpr Way kAll[] = {{false, false}, {true, false}, {false, true}, {true, true}};
  return {kAll, bytes < kStreamedFrom ? size_t{2} : size_t{4}};
}

float* BareAllReduce::slot(int rank, uint64_t tile, bool sums) const {
  const size_t index = static_cast<size_t>(rank) * 4 + (sums ? 2 : 0) + tile % 2;
  return reinterpret_cast<float*>(slots_ + index * kBareTile);
}

void BareAllReduce::wait(std::atomic<uint64_t> BareSteps::* step, uint64_t until) const {
  for (int rank = 0; rank < ranks_; ++rank) {
    while ((steps_[rank].*step).load(std::memory_order_acquire) < until) {
      if (crowded_) sched_yield();
#if defined(__SSE2__)
      else
        _mm_pause();
#endif
    }
  }
}

// Elements [first, last) of a tile.
void BareAllReduce::add(float* out, float* sums, const float* in, uint64_t tile, size_t first, size_t last, bool streamed) const {
  alignas(64) float block[kBlock];
  for (size_t at = first, now; at < last; at += now) {
    now = std::min(kBlock, last - at);
    std::memcpy(block, in + at, now * sizeof(float));
    for (int other = 1; other < ranks_; ++other) add_to(block, slot((rank_ + other) % ranks_, tile, false) + at, now);
    store(out + at, block, now, streamed);
    if (sums) std::memcpy(sums + at, block, now * sizeof(float));
  }
}

void BareAllReduce::run(float* out, const float* in, size_t count, Way way) {
  constexpr size_t kTile = kBareTile / sizeof(float);
  const auto share = [&](size_t now, int rank) { return now * static_cast<size_t>(rank) / static_cast<size_t>(ranks_); };
  for (size_t at = 0, now; at < count; at += now) {
    now = std::min(kTile, count - at);
    const uint64_t tile = written_;
    std::memcpy(slot(rank_, tile, false), in + at, now * sizeof(float));
    steps_[rank_].written.store(++written_, std::memory_order_release);
    wait(&BareSteps::written, written_);
    if (!way.twice) {
      add(out + at, nullptr, in + at, tile, 0, now, way.streamed);
      continue;
    }
    add(out + at, slot(rank_, tile, true), in + at, tile, share(now, rank_), share(now, rank_ + 1), way.streamed);
    steps_[rank_].added.store(++added_, std::memory_order_release);
    wait(&BareSteps::added, added_);
    for (int other = 1; other < ranks_; ++other) {
      const int rank = (rank_ + other) % ranks_;
      const size_t first = share(now, rank);
      store(out + at + first, slot(rank, tile, true) + first, share(now, rank + 1) - first, way.streamed);
    }
  }
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

}  // namespace tutti::perf

// bare: see bare.h.
#include "perf/bare.h"

#include <sched.h>
#include <sys/uio.h>
#include <unistd.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace tutti::perf {
namespace {

constexpr size_t kBlock = 1024;                    // floats that are added up in the first-level cache
constexpr size_t kStreamedFrom = size_t{4} << 20;  // bytes
constexpr size_t kFetchedFrom = 16 << 10;
constexpr size_t kTile = kBareTile / sizeof(float);

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

void store(float* to, const float* from, size_t count, Way way) {
  write(reinterpret_cast<std::byte*>(to), reinterpret_cast<const std::byte*>(from), count * sizeof(float), way);
}

// Each of these with slots written in each way, and with results written past the caches, where that may be better.
void add_writing(std::vector<Bare::Way>& ways, size_t bytes) {
  for (size_t i = 0, plain = ways.size(); i < plain; ++i)
    for (const Way shared : {Way::Plain, shared_way(bytes), Way::Streamed})
      for (const Way results : {Way::Plain, Way::Streamed}) {
        if ((shared == Way::Plain && results == Way::Plain) || (results == Way::Streamed && bytes < kStreamedFrom)) continue;
        ways.push_back(ways[i]);
        ways.back().shared = shared;
        ways.back().results = results;
      }
}

}  // namespace

std::optional<Bare::What> Bare::named(const std::string& name) {
  constexpr std::array<std::pair<const char*, What>, 7> kNames{{{"all_reduce", What::AllReduce},
                                                                {"all_gather", What::AllGather},
                                                                {"reduce_scatter", What::ReduceScatter},
                                                                {"broadcast", What::Broadcast},
                                                                {"reduce", What::Reduce},
                                                                {"alltoall", What::AlltoAll},
                                                                {"sendrecv", What::SendRecv}}};
  for (const auto& [known, what] : kNames)
    if (name == known) return what;
  return std::nullopt;
}

std::vector<Bare::Way> Bare::ways(What what, size_t bytes) {
  std::vector<Way> found{{}};
  if (what == What::AllReduce || what == What::Reduce) found.push_back({.twice = true});
  add_writing(found, bytes);
  const bool moved = what != What::AllReduce && what != What::Reduce && what != What::ReduceScatter;
  if (moved && bytes >= kFetchedFrom) found.push_back({.fetched = true});
  return found;
}

std::vector<Bare::Way> Bare::mapped_ways(size_t bytes) {
  std::vector<Way> found{{}, {.twice = true}, {.to_all = true}};
  add_writing(found, bytes);
  return found;
}

size_t Bare::count_of(What what, int ranks, size_t bytes) {
  const bool blocks = what == What::AllGather || what == What::ReduceScatter || what == What::AlltoAll;
  const size_t count = bytes / sizeof(float), unit = blocks ? static_cast<size_t>(ranks) : 1;
  return count / unit * unit;
}

std::optional<size_t> Bare::wrong(const float* out, size_t count, uint64_t round) const {
  const auto ranks = static_cast<size_t>(ranks_), me = static_cast<size_t>(rank_), block = count / ranks;
  const float all = static_cast<float>(ranks * (ranks + 1) / 2);
  if (what_ == What::Reduce && rank_ != 0) return std::nullopt;
  for (size_t i = 0; i < (what_ == What::ReduceScatter ? block : count); ++i) {
    float right = 0;
    switch (what_) {
      case What::AllReduce:
      case What::Reduce: right = value(0, i, round) * all; break;
      case What::ReduceScatter: right = value(0, me * block + i, round) * all; break;
      case What::AllGather: right = value(static_cast<int>(i / block), i % block, round); break;
      case What::AlltoAll: right = value(static_cast<int>(i / block), me * block + i % block, round); break;
      case What::Broadcast: right = value(0, i, round); break;
      case What::SendRecv: right = value((rank_ + ranks_ - 1) % ranks_, i, round); break;
    }
    if (out[i] != right) return i;
  }
  return std::nullopt;
}

bool Bare::run(float* out, const float* in, size_t count, Way way) {
  if (way.fetched) return fetch(out, in, count);
  switch (what_) {
    case What::AllReduce:
    case What::Reduce: reduce(out, in, count, way); break;
    case What::ReduceScatter: reduce_scatter(out, in, count, way); break;
    default: move(out, in, count, way);
  }
  return true;
}

float* Bare::slot(int rank, uint64_t tile, bool sums) const {
  const size_t index = static_cast<size_t>(rank) * 4 + (sums ? 2 : 0) + tile % 2;
  return reinterpret_cast<float*>(slots_ + index * kBareTile);
}

// That one more is done; and waits until the others have said so.
void Bare::tell(std::atomic<uint64_t> BareSteps::* step, uint64_t& mine) {
  (steps_[rank_].*step).store(++mine, std::memory_order_release);
  for (int rank = 0; rank < ranks_; ++rank) {
    while ((steps_[rank].*step).load(std::memory_order_acquire) < mine) {
      if (crowded_) sched_yield();
#if defined(__SSE2__)
      else
        _mm_pause();
#endif
    }
  }
}

// ---- what is moved

std::vector<Bare::Move> Bare::moves(size_t count) const {
  const size_t block = count / static_cast<size_t>(ranks_);
  std::vector<Move> found;
  if (what_ == What::Broadcast) return {{0, 0, 0, count}};
  if (what_ == What::SendRecv) return {{(rank_ + ranks_ - 1) % ranks_, 0, 0, count}};
  for (int k = 0; k < ranks_; ++k) {
    const int from = (rank_ + k) % ranks_;
    found.push_back({from, what_ == What::AlltoAll ? static_cast<size_t>(rank_) * block : 0, static_cast<size_t>(from) * block, block});
  }
  return found;
}

void Bare::move(float* out, const float* in, size_t count, Way way) {
  const std::vector<Move> wanted = moves(count);
  // AlltoAll has another piece for each rank, the others one for all.
  const size_t block = count / static_cast<size_t>(ranks_), whole = wanted[0].count;
  const bool pieces = what_ == What::AlltoAll, sends = what_ != What::Broadcast || rank_ == 0;
  const size_t most = pieces ? kTile / static_cast<size_t>(ranks_) : kTile;
  for (size_t at = 0, now; at < whole; at += now) {
    now = std::min(most, whole - at);
    const uint64_t tile = written_;
    for (int to = 0; sends && to < (pieces ? ranks_ : 1); ++to)
      if (!pieces || to != rank_)
        store(slot(rank_, tile, false) + static_cast<size_t>(to) * most, in + static_cast<size_t>(to) * block + at, now, way.shared);
    tell(&BareSteps::written, written_);
    for (const Move& one : wanted) {
      const float* const shown = slot(one.from, tile, false) + (pieces ? static_cast<size_t>(rank_) * most : 0);
      store(out + one.here + at, one.from == rank_ ? in + one.there + at : shown, now, way.results);
    }
  }
}

bool Bare::fetch(float* out, const float* in, size_t count) {
  BareSteps& mine = steps_[rank_];
  mine.process.store(getpid(), std::memory_order_relaxed);
  mine.input.store(in, std::memory_order_relaxed);
  tell(&BareSteps::written, written_);
  bool all = true;
  for (const Move& one : moves(count)) {
    const size_t bytes = one.count * sizeof(float);
    if (one.from == rank_) {
      std::memcpy(out + one.here, in + one.there, bytes);
      continue;
    }
    const BareSteps& theirs = steps_[one.from];
    const iovec here{out + one.here, bytes};
    const iovec there{const_cast<float*>(theirs.input.load(std::memory_order_relaxed)) + one.there, bytes};
    all = all && process_vm_readv(theirs.process.load(std::memory_order_relaxed), &here, 1, &there, 1, 0) == static_cast<ssize_t>(bytes);
  }
  tell(&BareSteps::added, added_);
  return all;
}

// ---- what is added up

// The sum of all `from` + first, put to all `to` + first.
void add_up(std::span<const Bare::Target> to, std::span<const float* const> from, size_t first, size_t count) {
  alignas(64) float block[kBlock];
  for (size_t at = first, now, end = first + count; at < end; at += now) {
    now = std::min(kBlock, end - at);
    std::memcpy(block, from[0] + at, now * sizeof(float));
    for (const float* const other : from.subspan(1)) add_to(block, other + at, now);
    for (const Bare::Target& target : to) store(target.at + at, block, now, target.way);
  }
}

// `count` floats from `in`, and from `in_slot` on in the others' slots.
void Bare::add(float* out, float* sums, const float* in, uint64_t tile, size_t in_slot, size_t count, Way way) {
  from_.assign(1, in);
  to_.clear();
  for (int other = 1; other < ranks_; ++other) from_.push_back(slot((rank_ + other) % ranks_, tile, false) + in_slot);
  if (out) to_.push_back({out, way.results});
  if (sums) to_.push_back({sums, way.shared});
  add_up(to_, from_, 0, count);
}

void Bare::reduce(float* out, const float* in, size_t count, Way way) {
  const bool wanted = what_ == What::AllReduce || rank_ == 0;
  for (size_t at = 0, now; at < count; at += now) {
    now = std::min(kTile, count - at);
    const uint64_t tile = written_;
    store(slot(rank_, tile, false), in + at, now, way.shared);
    tell(&BareSteps::written, written_);
    if (!way.twice) {
      if (wanted) add(out + at, nullptr, in + at, tile, 0, now, way);
      continue;
    }
    const size_t mine = share(now, rank_);
    add(wanted ? out + at + mine : nullptr, slot(rank_, tile, true) + mine, in + at + mine, tile, mine, share(now, rank_ + 1) - mine,
        way);
    tell(&BareSteps::added, added_);
    for (int other = 1; wanted && other < ranks_; ++other) {
      const int rank = (rank_ + other) % ranks_;
      const size_t first = share(now, rank);
      store(out + at + first, slot(rank, tile, true) + first, share(now, rank + 1) - first, way.results);
    }
  }
}

void Bare::reduce_scatter(float* out, const float* in, size_t count, Way way) {
  const size_t block = count / static_cast<size_t>(ranks_), most = kTile / static_cast<size_t>(ranks_);
  const auto me = static_cast<size_t>(rank_);
  for (size_t at = 0, now; at < block; at += now) {
    now = std::min(most, block - at);
    const uint64_t tile = written_;
    for (size_t to = 0; to < static_cast<size_t>(ranks_); ++to)
      if (to != me) store(slot(rank_, tile, false) + to * most, in + to * block + at, now, way.shared);
    tell(&BareSteps::written, written_);
    add(out + at, nullptr, in + me * block + at, tile, me * most, now, way);
  }
}

void Bare::run_mapped(std::span<float* const> outs, std::span<const float* const> ins, size_t count, Way way) {
  const auto me = static_cast<size_t>(rank_);
  from_.assign(ins.begin(), ins.end());
  std::rotate(from_.begin(), from_.begin() + rank_, from_.end());
  to_.assign(1, {outs[me], way.twice ? way.shared : way.results});
  tell(&BareSteps::written, written_);
  if (way.to_all) {
    for (int other = 1; other < ranks_; ++other) to_.push_back({outs[static_cast<size_t>((rank_ + other) % ranks_)], way.shared});
    add_up(to_, from_, share(count, rank_), share(count, rank_ + 1) - share(count, rank_));
  } else if (!way.twice) {
    add_up(to_, from_, 0, count);
  } else {
    for (size_t at = 0, now; at < count; at += now) {
      now = std::min(kTile, count - at);
      add_up(to_, from_, at + share(now, rank_), share(now, rank_ + 1) - share(now, rank_));
      tell(&BareSteps::added, added_);
      for (int other = 1; other < ranks_; ++other) {
        const int rank = (rank_ + other) % ranks_;
        const size_t first = at + share(now, rank), last = at + share(now, rank + 1);
        store(outs[me] + first, outs[static_cast<size_t>(rank)] + first, last - first, way.results);
      }
    }
  }
  tell(&BareSteps::added, added_);  // inputs have been read, and outputs written
}

}  // namespace tutti::perf

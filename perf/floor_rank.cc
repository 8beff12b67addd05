// floor_rank: see floor_rank.h, and floor.cc for what is measured.
#include "perf/floor_rank.h"

#include <sched.h>
#include <unistd.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <span>

#include "perf/measure.h"
#include "perf/report.h"
#include "tools/launch/pinning.h"

namespace tutti::perf {

using namespace tool;

namespace {

constexpr int kRounds = 1000;  // of the token, per sample
using Clock = std::chrono::steady_clock;

double microseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

double median(std::vector<double>& samples) {
  std::nth_element(samples.begin(), samples.begin() + static_cast<ptrdiff_t>(samples.size() / 2), samples.end());
  return samples[samples.size() / 2];
}

constexpr size_t kBareFrom = 64;  // bytes; shorter messages are exchanged in a cell, which swap is

class Rank {
 public:
  // mapped: the outputs, then the inputs of all ranks; or null.
  Rank(const FloorConfig& config, FloorShared& shared, std::byte* mapped, int rank, bool crowded)
      : config_(config),
        shared_(shared),
        mapped_(mapped),
        rank_(rank),
        crowded_(crowded),
        source_(config.sizes.back()),
        target_(config.sizes.back()) {}
  void run();

 private:
  template <typename Done>
  void wait(Done done) const {
    while (!done()) {
      if (crowded_) sched_yield();
#if defined(__SSE2__)
      else
        _mm_pause();
#endif
    }
  }
  // Who arrives last has read every other's count with acquire, and tells all with release: each sees what each wrote
  // before, and the count back at 0.
  void barrier() {
    const uint32_t phase = shared_.phase.load(std::memory_order_acquire);
    if (shared_.arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<uint32_t>(config_.ranks)) {
      shared_.arrived.store(0, std::memory_order_relaxed);
      shared_.phase.store(phase + 1, std::memory_order_release);
    } else {
      wait([&] { return shared_.phase.load(std::memory_order_acquire) != phase; });
    }
  }
  double mean_of_ranks(double mine_us) {
    shared_.slots[rank_].time_us = mine_us;
    barrier();
    double sum = 0;
    for (int r = 0; r < config_.ranks; ++r) sum += shared_.slots[r].time_us;
    barrier();
    return sum / config_.ranks;
  }
  void print(const char* what, size_t bytes, double time_us, double bus_factor) const {
    if (rank_ != 0) return;
    Row row{bytes, bytes, "uint8", what, -1, bus_factor, false, {}, {}};
    row.out_of_place.time.mean_us = time_us;
    print_row(row, false);
  }
  template <typename Round>
  double round_us(Round round);
  double hop_us();
  double copy_us(size_t bytes, void (*copy)(std::byte*, const std::byte*, size_t));
  double swap_us();
  enum class Timed : bool { Reading, All };
  double pull_us(size_t bytes, Timed timed, Way way);
  double least_pull_us(size_t bytes, Timed timed);
  double bare_us(Bare::What what, size_t bytes);
  double mapped_us(size_t bytes);
  template <typename Run>
  double best_us(Bare& bare, float* out, float* in, size_t bytes, size_t count, std::span<const Bare::Way> ways, Run run);
  void print_ranks();

  const FloorConfig& config_;
  FloorShared& shared_;
  std::byte* const mapped_;
  const int rank_;
  const bool crowded_;  // more ranks than cores: a waiting rank must let others run
  std::vector<std::byte> source_, target_;
  uint64_t written_ = 0, token_ = 0, swapped_ = 0;
  volatile uint64_t sink_ = 0;  // keeps the reads alive
};

void copy_plain(std::byte* to, const std::byte* from, size_t bytes) {
  std::memcpy(to, from, bytes);
  asm volatile("" : : "r"(to) : "memory");
}

void copy_streaming(std::byte* to, const std::byte* from, size_t bytes) { write(to, from, bytes, Way::Streamed); }

// Microseconds of one round; all ranks run the rounds together.
template <typename Round>
double Rank::round_us(Round round) {
  const int rounds = crowded_ ? kRounds / 100 : kRounds;
  std::vector<double> samples;
  for (int i = 0; i < config_.samples; ++i) {
    barrier();
    const Clock::time_point start = Clock::now();
    for (int k = 0; k < rounds; ++k) round();
    samples.push_back(microseconds_since(start) / rounds);
  }
  return mean_of_ranks(median(samples));
}

double Rank::hop_us() {
  std::atomic<uint64_t>& mine = shared_.cells[rank_].value;
  std::atomic<uint64_t>& next = shared_.cells[(rank_ + 1) % config_.ranks].value;
  return round_us([&] {
           ++token_;
           if (rank_ == 0) next.store(token_, std::memory_order_release);
           wait([&] { return mine.load(std::memory_order_acquire) == token_; });
           if (rank_ != 0) next.store(token_, std::memory_order_release);
         }) /
         config_.ranks;
}

double Rank::swap_us() {
  return round_us([&] {
    ++swapped_;
    shared_.swaps[rank_][swapped_ % kSwaps].value.store(swapped_, std::memory_order_release);
    for (int peer = 0; peer < config_.ranks; ++peer)
      wait([&] { return shared_.swaps[peer][swapped_ % kSwaps].value.load(std::memory_order_acquire) == swapped_; });
  });
}

double Rank::copy_us(size_t bytes, void (*copy)(std::byte*, const std::byte*, size_t)) {
  const int batch = bytes < kBatchedBelow ? kBatch : 1;
  std::vector<double> samples;
  for (int i = 0; i < config_.samples; ++i) {
    std::memset(source_.data(), static_cast<int>(++written_ & 0xff), bytes);
    barrier();
    const Clock::time_point start = Clock::now();
    for (int b = 0; b < batch; ++b) copy(target_.data(), source_.data(), bytes);
    samples.push_back(microseconds_since(start) / batch);
    barrier();  // nobody writes on a core on which another is still being timed
  }
  return mean_of_ranks(median(samples));
}

double Rank::pull_us(size_t bytes, Timed timed, Way way) {
  const auto ranks = static_cast<size_t>(config_.ranks);
  std::vector<double> samples;
  uint64_t sum = 0;
  const auto read = [&](size_t peer, size_t block, size_t tile) {
    const size_t words = tile / sizeof(uint64_t), first = words * block / ranks, last = words * (block + 1) / ranks;
    const auto* const data = reinterpret_cast<const uint64_t*>(shared_.tile(peer));
    for (size_t i = first; i < last; ++i) sum += data[i];
  };
  for (int i = 0; i < config_.samples; ++i) {
    double took_us = 0;
    for (size_t done = 0; done < bytes; done += kTile) {
      const size_t tile = std::min(kTile, bytes - done);
      std::memset(source_.data(), static_cast<int>(++written_ & 0xff), tile);
      Clock::time_point start = Clock::now();
      write(shared_.tile(static_cast<size_t>(rank_)), source_.data(), tile, way);
      if (timed == Timed::All) took_us += microseconds_since(start);
      barrier();
      start = Clock::now();
      // My block of everyone's input, then everyone's block of the result.
      for (size_t peer = 0; peer < ranks; ++peer)
        if (peer != static_cast<size_t>(rank_)) read(peer, static_cast<size_t>(rank_), tile);
      for (size_t peer = 0; peer < ranks; ++peer)
        if (peer != static_cast<size_t>(rank_)) read(peer, peer, tile);
      sink_ = sum;
      took_us += microseconds_since(start);
      barrier();
    }
    samples.push_back(took_us);
  }
  return mean_of_ranks(median(samples));
}

// The least of the ways to write the tiles.
double Rank::least_pull_us(size_t bytes, Timed timed) {
  return std::min({pull_us(bytes, timed, Way::Plain), pull_us(bytes, timed, shared_way(bytes)), pull_us(bytes, timed, Way::Streamed)});
}

// The best of some ways. run(way): false if it does not work here.
template <typename Run>
double Rank::best_us(Bare& bare, float* out, float* in, size_t bytes, size_t count, std::span<const Bare::Way> ways, Run run) {
  const int batch = bytes < kBatchedBelow ? kBatch : 1;
  double best_us = 0;
  for (const Bare::Way way : ways) {
    std::vector<double> samples;
    bool works = true;
    for (int k = 0; k < config_.samples; ++k) {
      ++written_;
      for (size_t i = 0; i < count; ++i) in[i] = Bare::value(rank_, i, written_);
      barrier();
      const Clock::time_point start = Clock::now();
      for (int b = 0; b < batch; ++b) works &= run(way);
      samples.push_back(microseconds_since(start) / batch);
      barrier();
    }
    const double time_us = mean_of_ranks(works ? median(samples) : std::numeric_limits<double>::infinity());
    if (!std::isfinite(time_us)) continue;  // the kernel does not let processes read one another
    if (const std::optional<size_t> wrong = bare.wrong(out, count, written_)) {
      std::fprintf(stderr, "floor: rank %d: bare: element %zu is wrong\n", rank_, *wrong);
      std::exit(1);
    }
    if (best_us == 0 || time_us < best_us) best_us = time_us;
  }
  return best_us;
}

double Rank::bare_us(Bare::What what, size_t bytes) {
  Bare bare(what, rank_, config_.ranks, shared_.steps, shared_.bare_slots(config_.ranks), crowded_);
  const size_t count = Bare::count_of(what, config_.ranks, bytes);
  auto* const in = reinterpret_cast<float*>(source_.data());
  auto* const out = reinterpret_cast<float*>(target_.data());
  return best_us(bare, out, in, bytes, count, Bare::ways(what, bytes), [&](Bare::Way way) { return bare.run(out, in, count, way); });
}

double Rank::mapped_us(size_t bytes) {
  Bare bare(Bare::What::AllReduce, rank_, config_.ranks, shared_.steps, shared_.bare_slots(config_.ranks), crowded_);
  const size_t count = Bare::count_of(Bare::What::AllReduce, config_.ranks, bytes);
  std::vector<float*> outs, ins;
  for (int k = 0; k < 2 * config_.ranks; ++k)
    (k < config_.ranks ? outs : ins)
        .push_back(reinterpret_cast<float*>(mapped_ + static_cast<size_t>(k) * mapped_bytes(config_)));
  const std::vector<const float*> sources(ins.begin(), ins.end());
  const auto me = static_cast<size_t>(rank_);
  return best_us(bare, outs[me], ins[me], bytes, count, Bare::mapped_ways(bytes), [&](Bare::Way way) {
    bare.run_mapped(outs, sources, count, way);
    return true;
  });
}

void Rank::print_ranks() {
  char host[32] = "?";
  gethostname(host, sizeof host - 1);
  std::snprintf(shared_.slots[rank_].place, sizeof shared_.slots[rank_].place, "Pid %d on %s core %d", getpid(), host,
                current_processor());
  barrier();
  if (rank_ == 0) {
    std::vector<std::string> places;
    for (int r = 0; r < config_.ranks; ++r) places.emplace_back(shared_.slots[r].place);
    print_header("floor: hop, copy and pull of " + std::to_string(config_.ranks) +
                     " ranks, iters: " + std::to_string(config_.samples) + (crowded_ ? ", more ranks than cores" : ""),
                 places, false);
  }
  barrier();
}

void Rank::run() {
  print_ranks();
  const double ranks = config_.ranks;
  const double pulled = 2 * (ranks - 1) / ranks;
  if (config_.ranks > 1) {
    (void)hop_us();  // warms the lines and the clocks
    print("hop", 8, hop_us(), 1);
    print("swap", 8, swap_us(), 1);
  }
  for (const size_t bytes : config_.sizes) {
    print("copy", bytes, std::min(copy_us(bytes, copy_plain), copy_us(bytes, copy_streaming)), 1);
    // Less than a word per block cannot be read by words.
    if (config_.ranks > 1 && bytes >= sizeof(uint64_t) * static_cast<size_t>(config_.ranks)) {
      print("pull", bytes, least_pull_us(bytes, Timed::Reading), pulled);
      print("bounce", bytes, least_pull_us(bytes, Timed::All), pulled);
    }
    if (mapped_ && config_.ranks > 1 && bytes >= kBareFrom) print("mapped", bytes, mapped_us(bytes), pulled);
    const std::optional<Bare::What> what = Bare::named(config_.bare);
    if (!what || config_.ranks == 1 || Bare::count_of(*what, config_.ranks, bytes) == 0) continue;
    const bool one_way = *what == Bare::What::Broadcast || *what == Bare::What::Reduce;
    if (one_way || bytes >= kBareFrom) print("bare", bytes, bare_us(*what, bytes), pulled);
  }
}

}  // namespace

void run_floor_rank(const FloorConfig& config, FloorShared& shared, std::byte* mapped, int rank, bool crowded) {
  Rank(config, shared, mapped, rank, crowded).run();
}

}  // namespace tutti::perf

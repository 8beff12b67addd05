// startup: what a communicator costs: milliseconds to make and to destroy it, and the memory of a rank.
//
// For each number of ranks, forked afresh for each repetition:
//  - times from the first rank's call to the last one's return: CommInitRank, a second one among the same ranks (another id),
//    CommSplit of the first into a third that has all ranks, and CommDestroy of the first;
//  - a rank's memory (the mean of all ranks) before the first call, and what it has more after init, the first AllReduce of
//    8 B, the first large one, the second and the third communicator, and the end of all three. The buffers of the calls are
//    touched before. Rss counts a page that k processes share in each of them, Pss as 1/k: over all ranks Pss sums up to every page
//    counted once. `shared` is the part of Pss that is shared memory. Page tables, which each process has of its own, come on
//    top. All from /proc/self/smaps_rollup and status, read while every rank stands still.
#include <algorithm>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

#include "perf/board.h"
#include "tools/failure.h"
#include "tools/tool.h"

namespace tutti::perf {

using namespace tool;

namespace {

struct Config {
  std::vector<int> ranks{1, 2, 4, 8, 16, 32, 64};
  int repetitions = 5;
  size_t large_bytes = size_t{4} << 20;
  bool bind = true;
};

enum Timed : size_t { kInit, kSecond, kSplit, kDestroy, kTimed };
constexpr const char* kTimedNames[kTimed] = {"init", "second", "split", "destroy"};

enum Moment : size_t { kBefore, kAfterInit, kAfterSmall, kAfterLarge, kAfterSecond, kAfterSplit, kAfterDestroy, kMoments };
constexpr const char* kMomentNames[kMoments] = {"before", "init", "small", "large", "second", "split", "destroy"};

struct Kind {
  const char *name, *file, *field;
};
constexpr Kind kKinds[] = {{"Rss", "/proc/self/smaps_rollup", "Rss:"},
                           {"Pss", "/proc/self/smaps_rollup", "Pss:"},
                           {"  shared", "/proc/self/smaps_rollup", "Pss_Shmem:"},
                           {"page tables", "/proc/self/status", "VmPTE:"}};
constexpr size_t kKindCount = std::size(kKinds);

// Where a rank's figures lie on the board: begin and end of each timed call, then the memory of each moment.
constexpr size_t kMemory = 2 * kTimed;
constexpr size_t kValues = kMemory + kMoments * kKindCount;

double kilobytes_of(const Kind& kind) {
  std::ifstream file(kind.file);
  for (std::string word; file >> word;) {
    double value = 0;
    if (word == kind.field && file >> value) return value;
  }
  throw Failure(std::string(kind.file) + " has no " + kind.field);
}

class Rank {
 public:
  Rank(const Config& config, const Board& board, int rank)
      : board_(board), rank_(rank), data_(config.large_bytes / sizeof(float), 1.0F) {}

  void run() {
    const tuttiUniqueId id = board_.make_id(rank_), second_id = board_.make_id(rank_);
    tuttiComm_t first, second, third;
    remember(kBefore);
    time(kInit, "tuttiCommInitRank", [&] { return tuttiCommInitRank(&first, board_.ranks(), id, rank_); });
    remember(kAfterInit);
    all_reduce(first, std::min<size_t>(data_.size(), 2));
    remember(kAfterSmall);
    all_reduce(first, data_.size());
    remember(kAfterLarge);
    time(kSecond, "tuttiCommInitRank", [&] { return tuttiCommInitRank(&second, board_.ranks(), second_id, rank_); });
    remember(kAfterSecond);
    time(kSplit, "tuttiCommSplit", [&] { return tuttiCommSplit(first, 0, rank_, &third, nullptr); });
    remember(kAfterSplit);
    time(kDestroy, "tuttiCommDestroy", [&] { return tuttiCommDestroy(first); });
    for (const tuttiComm_t comm : {second, third}) check(tuttiCommDestroy(comm), "tuttiCommDestroy", rank_);
    remember(kAfterDestroy);
  }

 private:
  template <typename Call>
  void time(Timed which, const char* what, Call call) {
    board_.barrier();
    board_.value(rank_, 2 * which) = seconds_of(CLOCK_MONOTONIC);
    check(call(), what, rank_);
    board_.value(rank_, 2 * which + 1) = seconds_of(CLOCK_MONOTONIC);
  }
  void all_reduce(tuttiComm_t comm, size_t count) {
    check(tuttiAllReduce(data_.data(), data_.data(), count, tuttiFloat32, tuttiMax, comm, nullptr), "tuttiAllReduce", rank_);
  }
  void remember(Moment moment) {
    board_.barrier();
    for (size_t kind = 0; kind < kKindCount; ++kind)
      board_.value(rank_, kMemory + moment * kKindCount + kind) = kilobytes_of(kKinds[kind]);
    board_.barrier();
  }

  const Board& board_;
  const int rank_;
  std::vector<float> data_;
};

// What the repetitions gave for one number of ranks.
struct Samples {
  std::vector<double> times_ms[kTimed], memory_KiB[kMoments][kKindCount];
};

void collect(const Board& board, Samples& samples) {
  for (size_t which = 0; which < kTimed; ++which) {
    double begin = board.value(0, 2 * which), end = 0;
    for (int rank = 0; rank < board.ranks(); ++rank) {
      begin = std::min(begin, board.value(rank, 2 * which));
      end = std::max(end, board.value(rank, 2 * which + 1));
    }
    samples.times_ms[which].push_back((end - begin) * 1e3);
  }
  for (size_t moment = 0; moment < kMoments; ++moment)
    for (size_t kind = 0; kind < kKindCount; ++kind) {
      double sum = 0;
      for (int rank = 0; rank < board.ranks(); ++rank) sum += board.value(rank, kMemory + moment * kKindCount + kind);
      samples.memory_KiB[moment][kind].push_back(sum / board.ranks());
    }
}

void print(const Config& config, const std::vector<Samples>& samples) {
  std::printf("# startup: medians of %d repetitions\n#\n# time, ms\n#%7s", config.repetitions, "ranks");
  for (const char* const name : kTimedNames) std::printf(" %10s", name);
  for (size_t i = 0; i < samples.size(); ++i) {
    std::printf("\n%8d", config.ranks[i]);
    for (const auto& of_call : samples[i].times_ms) std::printf(" %10.3f", median(of_call));
  }
  std::printf("\n#\n# memory of a rank, KiB: before all, and what it has more after each; large: %zu B\n#%7s %-11s",
              config.large_bytes, "ranks", "");
  for (const char* const name : kMomentNames) std::printf(" %9s", name);
  for (size_t i = 0; i < samples.size(); ++i)
    for (size_t kind = 0; kind < kKindCount; ++kind) {
      std::printf("\n%8d %-11s", config.ranks[i], kKinds[kind].name);
      const double before = median(samples[i].memory_KiB[kBefore][kind]);
      std::printf(" %9.0f", before);
      for (size_t moment = kBefore + 1; moment < kMoments; ++moment)
        std::printf(" %+9.0f", median(samples[i].memory_KiB[moment][kind]) - before);
    }
  std::printf("\n");
}

int run_startup(const Config& config) {
  std::vector<Samples> samples(config.ranks.size());
  for (int repetition = 0; repetition < config.repetitions; ++repetition)
    for (size_t i = 0; i < config.ranks.size(); ++i) {
      const Board board(config.ranks[i], kValues);
      const int code = run_ranks("startup", board, config.bind, [&](int rank) { Rank(config, board, rank).run(); });
      if (code != 0) return code;
      collect(board, samples[i]);
    }
  print(config, samples);
  return 0;
}

}  // namespace
}  // namespace tutti::perf

int main(int argc, char** argv) {
  using namespace tutti::perf;
  Config config;
  CLI::App app{"Prints what communicators cost: the time to make and to destroy them, and a rank's memory."};
  app.option_defaults()->always_capture_default();
  app.add_option("-p,--processes", config.ranks, "numbers of processes, by comma")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024));
  app.add_option("-n,--iters", config.repetitions, "repetitions, each in fresh processes")->check(CLI::Range(1, 10000));
  take_sizes(app.add_option("-e,--large", config.large_bytes, "the large message; K, M, G are powers of 1024"), sizeof(float));
  app.add_flag("--bind,!--no-bind", config.bind, "pin rank i to core i, or not");
  return run_tool("startup", app, argc, argv, [&] { return run_startup(config); });
}

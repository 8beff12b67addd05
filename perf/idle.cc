// idle: what it costs to wait for a rank that comes late.
//
// The last rank enters an AllReduce of 8 B some milliseconds after the others. Of each of those it prints
//  - the processor time of the whole process (all its threads) over the wait, as a share of one core;
//  - the wake-up: from the late rank's entry into the call until this rank's return, less the same span where nobody is late
//    (there from the last entry on). That is what sleeping costs instead of polling;
//  - beside it, to hold it against, what the kernel alone takes: rank 0 sleeps in sem_wait, and the late rank posts.
// All are medians over the repetitions, of the rank where they are worst.
#include <semaphore.h>
#include <sys/mman.h>

#include <algorithm>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <vector>

#include "perf/board.h"
#include "tools/failure.h"
#include "tools/tool.h"

namespace tutti::perf {

using namespace tool;

namespace {

struct Config {
  int ranks = 2, repetitions = 20;
  std::vector<double> late_ms{5, 10, 20, 100};
  bool bind = true;
};

constexpr int kWarmups = 20;  // calls before each timed one: all ranks come to it together, with warm caches

// What a rank leaves on the board for each call.
enum Value : size_t { kEntry, kReturn, kCpu, kPost, kWoken, kValues };

struct Figures {
  double wait_ms, cpu_ms, span_us, kernel_us;
};

void pause_for(double ms) {
  const auto ns = static_cast<long>(ms * 1e6);
  const timespec span{ns / 1'000'000'000, ns % 1'000'000'000};
  nanosleep(&span, nullptr);
}

void run_rank(const Config& config, const Board& board, const std::vector<double>& late_ms, sem_t& bell, int rank) {
  const tuttiUniqueId id = board.make_id(rank);
  tuttiComm_t comm;
  check(tuttiCommInitRank(&comm, config.ranks, id, rank), "tuttiCommInitRank", rank);
  const double mine = rank;
  double sum = 0;
  const auto call = [&] {
    check(tuttiAllReduce(&mine, &sum, 1, tuttiFloat64, tuttiSum, comm, nullptr), "tuttiAllReduce", rank);
  };

  size_t at = 0;
  for (int i = 0; i < config.repetitions; ++i)
    for (const double ms : late_ms) {
      board.barrier();
      for (int k = 0; k < kWarmups; ++k) call();
      if (rank == config.ranks - 1 && ms > 0) pause_for(ms);
      const double cpu_s = seconds_of(CLOCK_PROCESS_CPUTIME_ID), entry_s = seconds_of(CLOCK_MONOTONIC);
      call();
      const double return_s = seconds_of(CLOCK_MONOTONIC);
      board.value(rank, at + kCpu) = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_s;
      board.value(rank, at + kEntry) = entry_s;
      board.value(rank, at + kReturn) = return_s;

      board.barrier();
      if (rank == config.ranks - 1) {
        if (ms > 0) pause_for(ms);
        board.value(rank, at + kPost) = seconds_of(CLOCK_MONOTONIC);
        sem_post(&bell);
      } else if (rank == 0) {
        while (sem_wait(&bell) != 0) {
        }
        board.value(rank, at + kWoken) = seconds_of(CLOCK_MONOTONIC);
      }
      at += kValues;
    }
  check(tuttiCommDestroy(comm), "tuttiCommDestroy", rank);
}

// Of calls first, first + step, ..., in the waiting rank where it is worst.
Figures figures_of(const Config& config, const Board& board, size_t first, size_t step) {
  Figures worst{};
  std::vector<double> kernel;
  for (int i = 0; i < config.repetitions; ++i) {
    const size_t at = (first + static_cast<size_t>(i) * step) * kValues;
    kernel.push_back(board.value(0, at + kWoken) - board.value(config.ranks - 1, at + kPost));
  }
  worst.kernel_us = median(kernel) * 1e6;
  for (int rank = 0; rank < config.ranks - 1; ++rank) {
    std::vector<double> wait, cpu, span;
    for (int i = 0; i < config.repetitions; ++i) {
      const size_t at = (first + static_cast<size_t>(i) * step) * kValues;
      double last_entry = 0;
      for (int r = 0; r < config.ranks; ++r) last_entry = std::max(last_entry, board.value(r, at + kEntry));
      const double end = board.value(rank, at + kReturn);
      wait.push_back(end - board.value(rank, at + kEntry));
      cpu.push_back(board.value(rank, at + kCpu));
      span.push_back(end - last_entry);
    }
    worst.wait_ms = std::max(worst.wait_ms, median(wait) * 1e3);
    worst.cpu_ms = std::max(worst.cpu_ms, median(cpu) * 1e3);
    worst.span_us = std::max(worst.span_us, median(span) * 1e6);
  }
  return worst;
}

int run_idle(const Config& config) {
  std::vector<double> late_ms{0};  // nobody is late: what the others are held against
  late_ms.insert(late_ms.end(), config.late_ms.begin(), config.late_ms.end());
  const Board board(config.ranks, static_cast<size_t>(config.repetitions) * late_ms.size() * kValues);
  void* const shared = mmap(nullptr, sizeof(sem_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) throw Failure("no shared memory");
  sem_t& bell = *static_cast<sem_t*>(shared);
  sem_init(&bell, 1, 0);
  const int code = run_ranks("idle", board, config.bind, [&](int rank) { run_rank(config, board, late_ms, bell, rank); });
  if (code != 0) return code;

  const double there_us = figures_of(config, board, 0, late_ms.size()).span_us;
  std::printf(
      "# idle: %d ranks, the last one late, %d repetitions; nobody late: %.2f us from the last entry to the return\n",
      config.ranks, config.repetitions, there_us);
  std::printf("#%9s %10s %10s %12s %14s\n", "late", "CPU time", "of a core", "wake-up", "kernel alone");
  std::printf("#%9s %10s %10s %12s %14s\n", "(ms)", "(ms)", "(%)", "(us)", "(us)");
  for (size_t i = 1; i < late_ms.size(); ++i) {
    const Figures figures = figures_of(config, board, i, late_ms.size());
    std::printf("%10g %10.3f %10.2f %12.2f %14.2f\n", late_ms[i], figures.cpu_ms, 100 * figures.cpu_ms / figures.wait_ms,
                figures.span_us - there_us, figures.kernel_us);
  }
  return 0;
}

}  // namespace
}  // namespace tutti::perf

int main(int argc, char** argv) {
  using namespace tutti::perf;
  Config config;
  CLI::App app{"Prints what it costs to wait for a rank that comes late: processor time and the wake-up."};
  app.option_defaults()->always_capture_default();
  app.add_option("-p,--processes", config.ranks, "processes")->check(CLI::Range(2, 1024));
  app.add_option("-n,--iters", config.repetitions, "repetitions of each lateness")->check(CLI::Range(1, 100000));
  app.add_option("-l,--late", config.late_ms, "milliseconds, by comma")->delimiter(',')->check(CLI::Range(0.001, 1e6));
  app.add_flag("--bind,!--no-bind", config.bind, "pin rank i to core i, or not");
  return run_tool("idle", app, argc, argv, [&] { return run_idle(config); });
}

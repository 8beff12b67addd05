// write_cost: see write_cost.h.
#include "perf/write_cost.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <vector>

#include "lib/base/clock.h"
#include "lib/dtype/write.h"

namespace tutti {
namespace {

constexpr size_t kSizes[] = {4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20};
constexpr size_t kMostBytes = 1 << 20;
constexpr int kTurns = 201;

struct Shared {
  alignas(64) std::atomic<int> written{0};
  alignas(64) std::atomic<int> read{0};
  alignas(64) double read_us[kTurns];
  alignas(4096) std::byte memory[kMostBytes];
};

double median(double* begin, double* end) {
  std::sort(begin, end);
  return begin[(end - begin) / 2];
}

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  return cpus;
}

void stay_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  (void)sched_setaffinity(0, sizeof set, &set);
}

void read_turns(Shared& shared, size_t bytes) {
  uint64_t sum = 0;
  for (int turn = 0; turn < kTurns; ++turn) {
    while (shared.written.load(std::memory_order_acquire) <= turn) sched_yield();
    const int64_t begin = now_ns();
    for (size_t at = 0; at < bytes; at += 8) {
      uint64_t word;
      __builtin_memcpy(&word, shared.memory + at, 8);
      sum += word;
    }
    asm volatile("" : : "r"(sum));
    shared.read_us[turn] = static_cast<double>(now_ns() - begin) / 1000;
    shared.read.store(turn + 1, std::memory_order_release);
  }
}

double write_turns(Shared& shared, size_t bytes, Way way, const std::byte* source) {
  double us[kTurns];
  for (int turn = 0; turn < kTurns; ++turn) {
    const int64_t begin = now_ns();
    write(shared.memory, source, bytes, way);
    us[turn] = static_cast<double>(now_ns() - begin) / 1000;
    shared.written.store(turn + 1, std::memory_order_release);
    while (shared.read.load(std::memory_order_acquire) <= turn) sched_yield();
  }
  return median(us, us + kTurns);
}

}  // namespace

int print_write_costs() {
  const std::vector<int> cpus = allowed_cpus();
  if (cpus.size() < 2) {
    std::fprintf(stderr, "kernel_bench: --writes needs two CPUs, and may run on %zu\n", cpus.size());
    return 1;
  }
  void* const page = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return std::perror("kernel_bench: mmap"), 1;
  const std::vector<std::byte> source(kMostBytes, std::byte{1});
  std::printf("us to write memory that CPU %d has read / to read it there then\n%-10s", cpus[1], "way");
  for (const size_t bytes : kSizes) std::printf("%11zu KiB", bytes / 1024);
  std::printf("\n");
  for (const Way way : {Way::Plain, Way::Ahead, Way::Strings, Way::Streamed}) {
    std::printf("%-10s", name_of(way));
    for (const size_t bytes : kSizes) {
      auto& shared = *new (page) Shared;
      std::fflush(stdout);
      const pid_t reader = fork();
      if (reader < 0) return std::perror("kernel_bench: fork"), 1;
      if (reader == 0) {
        stay_on(cpus[1]);
        read_turns(shared, bytes);
        _exit(0);
      }
      stay_on(cpus[0]);
      const double written_us = write_turns(shared, bytes, way, source.data());
      waitpid(reader, nullptr, 0);
      std::printf("%8.2f/%-6.2f", written_us, median(shared.read_us, shared.read_us + kTurns));
    }
    std::printf("\n");
  }
  return 0;
}

}  // namespace tutti

// kernel_bench: how fast one core combines, per type, operation and number of sources, against memcpy.
//
//   kernel_bench [bytes per buffer]...        default: 64 KiB (second-level cache) and 64 MiB (memory)
//   kernel_bench --writes                     instead: the ways to write what another core has read
// Prints GB/s of all bytes that move: every source read once, the destination written once. memcpy reads one and writes
// one. Each figure is the best of several rounds; buffers are written before each series so that every page is there.
#include <algorithm>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "lib/base/clock.h"
#include "lib/dtype/kernels.h"
#include "perf/write_cost.h"
#include "tools/tool.h"

namespace {

using namespace tutti;

constexpr size_t kSourceCounts[] = {2, 3, 8};
constexpr size_t kMaxSources = 8;
constexpr int64_t kRoundNs = 10'000'000;
constexpr int kRounds = 5;

// Seconds of one call, the best round.
template <typename Body>
double best_seconds(const Body& body) {
  body();
  double best = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    const int64_t start = now_ns();
    int64_t calls = 0, spent = 0;
    do {
      body();
      ++calls;
      spent = now_ns() - start;
    } while (spent < kRoundNs);
    best = std::min(best, static_cast<double>(spent) * 1e-9 / static_cast<double>(calls));
  }
  return best;
}

void bench(size_t bytes, const Kernels& kernels) {
  std::vector<std::vector<std::byte>> sources(kMaxSources, std::vector<std::byte>(bytes));
  std::vector<std::byte> dst(bytes, std::byte{1});
  std::mt19937_64 random(1);
  std::vector<const std::byte*> pointers;
  for (auto& source : sources) {
    for (size_t i = 0; i + 8 <= bytes; i += 8) {  // no exponent of any float type is extreme
      const uint64_t bits = (random() & 0xbfbf'bfbf'bfbf'bfbfULL) | 0x3030'3030'3030'3030ULL;
      std::memcpy(source.data() + i, &bits, 8);
    }
    pointers.push_back(source.data());
  }
  const double copied = best_seconds([&] { std::memcpy(dst.data(), pointers[0], bytes); });
  std::printf("\n%s, %zu KiB per buffer; memcpy %.1f GB/s\n%-12s", kernels.isa, bytes / 1024,
              2.0 * static_cast<double>(bytes) / copied * 1e-9, "GB/s");
  for (const char* op : {"sum", "prod", "max", "min"}) {
    for (const size_t count : kSourceCounts) std::printf("%5s/%zu", op, count);
  }
  std::printf("%7s%7s\n", "scale", "divide");
  for (int t = 0; t < kTypes; ++t) {
    const auto type = static_cast<Type>(t);
    const size_t count = bytes / size_of(type);
    std::printf("%-12s", name_of(type));
    for (int op = 0; op < kOps; ++op) {
      for (const size_t n : kSourceCounts) {
        const double seconds = best_seconds([&] { kernels.combine[t][op](dst.data(), pointers.data(), n, count); });
        std::printf("%7.1f", static_cast<double>((n + 1) * bytes) / seconds * 1e-9);
      }
    }
    const Scale factor = scale_from(pointers[0], type);
    const double scaled = best_seconds([&] { kernels.scale[t](dst.data(), pointers[1], count, factor); });
    std::printf("%7.1f", 2.0 * static_cast<double>(bytes) / scaled * 1e-9);
    if (kernels.divide[t] != nullptr) {
      const double divided = best_seconds([&] { kernels.divide[t](dst.data(), count, 7); });
      std::printf("%7.1f", 2.0 * static_cast<double>(bytes) / divided * 1e-9);
    }
    std::printf("\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<size_t> sizes{64 << 10, 64 << 20};
  CLI::App app{"Prints how fast one core combines, per type, operation and number of sources, against memcpy."};
  app.option_defaults()->always_capture_default();
  tool::take_sizes(app.add_option("bytes", sizes, "bytes per buffer; K, M, G are powers of 1024"), 8);
  bool writes = false;
  app.add_flag("--writes", writes, "instead: what it costs to write memory that another core has read, by way");
  return tool::run_tool("kernel_bench", app, argc, argv, [&] {
    if (writes) return print_write_costs();
    const KernelChoice choice = supported_kernels();
    for (const size_t bytes : sizes) {
      for (int isa = 0; isa < choice.count; ++isa) bench(bytes, *choice.tables[isa]);
    }
    return 0;
  });
}

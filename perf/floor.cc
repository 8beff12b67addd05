// floor: what this machine can do at all, in the benchmarks' table, to hold their figures against.
//
//  hop   one 8-byte cell handed from core to core: a token goes round all ranks, each waiting for its own cache line;
//        the time of one hand-over. No collective of several ranks can be faster.
//  copy  all ranks copy a message of their own at once, by memcpy and by non-temporal stores; the better of the two.
//        A message that has to be read once and written once cannot be faster.
//  pull  all ranks read at once what their peers have just written: of every 128 KiB tile, 2(n-1)/n of the tile.
//        That is what an all-reduce must move between caches. Writing the tiles is not timed. The least of the ways to write them counts
//        (lib/dtype/write.h), here and below.
// And what two steps of any message through shared memory take, with nothing around them; above the floor, for comparison:
//  swap   all ranks write a cell for every other rank at once, and wait for theirs: an exchange of 8 bytes.
//  bounce as pull, with the writing timed: each line of a tile is taken back from the caches of those who have read it.
//  bare   the plainest collective of floats in plain memory (bare.h), with no types, errors, schedules or transports around it.
//         Ranks that share a core make way for one another by sched_yield() alone.
//  mapped the same with inputs and outputs in memory that all ranks map, as tuttiMemAlloc's is (--mapped; AllReduce only).
//
// Ranks are forked processes, pinned as in the benchmarks. Sources are written afresh before each sample. Times are the mean
// over the ranks of each rank's median: a floor is not raised by what else the machine does.
#include <sys/mman.h>

#include <algorithm>
#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <new>

#include "perf/floor_rank.h"
#include "tools/failure.h"
#include "tools/launch/children.h"
#include "tools/launch/pinning.h"
#include "tools/tool.h"

namespace tutti::perf {

using namespace tool;

namespace {

int run_floor(const FloorConfig& config) {
  const std::vector<int> cores = usable_cores();
  const size_t size = FloorShared::bytes(config.ranks);
  void* const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw Failure(std::string("no shared memory: ") + std::strerror(errno));
  }
  FloorShared& shared = *new (memory) FloorShared;
  std::byte* mapped = nullptr;
  if (config.mapped) {
    const size_t whole = 2 * static_cast<size_t>(config.ranks) * mapped_bytes(config);
    void* const buffers = mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (buffers == MAP_FAILED) {
      throw Failure(std::string("no memory to map: ") + std::strerror(errno));
    }
    (void)madvise(buffers, whole, MADV_HUGEPAGE);  // as tuttiMemAlloc
    mapped = static_cast<std::byte*>(buffers);
  }
  Children children({.program = "floor"});
  for (int r = 0; r < config.ranks; ++r) {
    const bool forked = children.start([&] {
      if (config.bind && !cores.empty()) (void)pin_to(cores[static_cast<size_t>(r) % cores.size()]);
      run_floor_rank(config, shared, mapped, r, static_cast<size_t>(config.ranks) > cores.size());
      return 0;
    });
    if (!forked) {
      throw Failure("cannot fork process " + std::to_string(r) + ": " + std::strerror(errno));
    }
  }
  return children.supervise();
}

}  // namespace
}  // namespace tutti::perf

int main(int argc, char** argv) {
  using namespace tutti::perf;
  FloorConfig config;
  CLI::App app{"Prints what this machine can do at all: a hand-over between cores, concurrent copies, concurrent pulls."};
  app.option_defaults()->always_capture_default();
  app.add_option("-p,--processes", config.ranks, "processes")->check(CLI::Range(1, kMaxRanks));
  take_sizes(app.add_option("-b,--minbytes", config.min_bytes, "smallest message; K, M, G are powers of 1024"));
  take_sizes(app.add_option("-e,--maxbytes", config.max_bytes, "largest message"));
  app.add_option("-f,--stepfactor", config.factor, "factor from size to size")->check(CLI::Range(2, 1024));
  take_sizes(app.add_option("--sizes", config.sizes, "these messages, by comma, instead of -b, -e and -f")->delimiter(','));
  app.add_option("-n,--iters", config.samples, "samples per size")->check(CLI::Range(1, 1000000));
  app.add_option("--bare", config.bare,
                 "time the plainest all_reduce, all_gather, reduce_scatter, broadcast, reduce, alltoall or sendrecv, too, or none")
      ->check([](const std::string& name) { return name == "none" || Bare::named(name) ? "" : name + " is no collective, nor none"; });
  app.add_flag("--mapped", config.mapped, "the plainest all_reduce with buffers in memory that all ranks map, too");
  app.add_flag("--bind,!--no-bind", config.bind, "pin rank i to core i, or not");
  return run_tool("floor", app, argc, argv, [&] {
    if (config.min_bytes > config.max_bytes) throw CLI::ValidationError("-b", "the smallest size is above the largest (-e)");
    if (config.max_bytes == 0 || std::count(config.sizes.begin(), config.sizes.end(), 0U))
      throw CLI::ValidationError("-e, --sizes", "nothing to move");
    if (config.sizes.empty())
      for (size_t bytes = std::max<size_t>(config.min_bytes, 1); bytes <= config.max_bytes; bytes *= config.factor)
        config.sizes.push_back(bytes);
    std::sort(config.sizes.begin(), config.sizes.end());
    return run_floor(config);
  });
}

// bare: the plainest collectives of floats between ranks that share memory, as a yardstick: what a program reaches that does nothing
// else. Sums are made in the order of ranks from one's own on, so results differ between ranks in their last bits.
//
// A message goes tile by tile: every rank copies what others need of its tile into its slot, waits until all have, and takes its
// part of theirs. A slot is used for every other tile: who goes on to the next tile has read all of the one before, and says so by
// it. Sums have two ways: once, who wants the sum adds all slots; twice, every rank adds its own share of all slots and puts the
// sum into its slot of sums, waits again, and who wants them copies the others' shares. What is only moved has a way without slots,
// too (fetched): the kernel copies all of it from the other process.
//
// Slots are written in one of the ways of lib/dtype/write.h: whoever writes lines that another core has read pays for how.
//
// An AllReduce whose inputs and outputs all ranks map needs no slots: once, every rank adds all inputs; twice, its share of them
// tile by tile, which the others copy from its output; to all, its share, into everyone's output at once.
#pragma once
#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/dtype/write.h"

namespace tutti::perf {

inline constexpr size_t kBareTile = 128 << 10;
inline constexpr size_t kBareBytesPerRank = 4 * kBareTile;  // two slots, and two of sums

// Tiles that a rank has written, and added (or fetched). Stored by the rank with release, after the slots; read by the others with
// acquire. Its process, and its input, are stored before `written`.
struct alignas(64) BareSteps {
  std::atomic<uint64_t> written{0};
  std::atomic<pid_t> process{0};
  std::atomic<const float*> input{nullptr};
  alignas(64) std::atomic<uint64_t> added{0};
};

class Bare {
 public:
  enum class What { AllReduce, AllGather, ReduceScatter, Broadcast, Reduce, AlltoAll, SendRecv };
  // By the name of the benchmark, all_reduce and so on.
  static std::optional<What> named(const std::string& name);
  struct Way {
    bool twice = false, fetched = false, to_all = false;
    tutti::Way shared = tutti::Way::Plain, results = tutti::Way::Plain;  // how slots and the outputs of others, and one's own output, are written
  };
  // Those worth trying.
  static std::vector<Way> ways(What what, size_t bytes);
  static std::vector<Way> mapped_ways(size_t bytes);

  // Floats of the longer side, that of all blocks, in so many bytes; 0: they are too few.
  static size_t count_of(What what, int ranks, size_t bytes);

  // steps: of all ranks; slots: kBareBytesPerRank of each, side by side. All ranks make the same calls. The root is rank 0.
  Bare(What what, int rank, int ranks, BareSteps* steps, std::byte* slots, bool crowded)
      : what_(what), rank_(rank), ranks_(ranks), steps_(steps), slots_(slots), crowded_(crowded),
        written_(steps[rank].written.load()), added_(steps[rank].added.load()) {}
  // count: from count_of(). False: this way does not work here.
  bool run(float* out, const float* in, size_t count, Way way);
  // An AllReduce of one of mapped_ways(), between the outputs and inputs of all ranks.
  void run_mapped(std::span<float* const> outs, std::span<const float* const> ins, size_t count, Way way);

  // An input: whole numbers that differ by rank and place, and from round to round, so that sums are exact in any order and tell
  // what they are made of.
  static float value(int rank, size_t i, uint64_t round) {
    return static_cast<float>((static_cast<size_t>(rank) + 1) * (1 + (i / 997 + round) % 13));
  }
  // The first element of this rank's output that is not made of these.
  std::optional<size_t> wrong(const float* out, size_t count, uint64_t round) const;

  // Where a sum goes.
  struct Target {
    float* at;
    tutti::Way way;
  };

 private:
  // What a rank takes from another, or from itself: floats from there in its input, to here in the output.
  struct Move {
    int from;
    size_t there, here, count;
  };
  std::vector<Move> moves(size_t count) const;
  void move(float* out, const float* in, size_t count, Way way);
  bool fetch(float* out, const float* in, size_t count);
  void reduce(float* out, const float* in, size_t count, Way way);
  void reduce_scatter(float* out, const float* in, size_t count, Way way);

  float* slot(int rank, uint64_t tile, bool sums) const;
  void tell(std::atomic<uint64_t> BareSteps::* step, uint64_t& mine);
  void add(float* out, float* sums, const float* in, uint64_t tile, size_t in_slot, size_t count, Way way);
  size_t share(size_t count, int rank) const { return count * static_cast<size_t>(rank) / static_cast<size_t>(ranks_); }

  const What what_;
  const int rank_, ranks_;
  BareSteps* const steps_;
  std::byte* const slots_;
  const bool crowded_;
  uint64_t written_, added_;
  std::vector<const float*> from_;
  std::vector<Target> to_;
};

}  // namespace tutti::perf

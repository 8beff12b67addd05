// floor_rank: what one rank of floor.cc measures, together with the others.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "perf/bare.h"

namespace tutti::perf {

inline constexpr int kMaxRanks = 256;
inline constexpr size_t kTile = 128 << 10;
inline constexpr size_t kSwaps = 2;  // a rank may be one exchange ahead of another

struct FloorConfig {
  int ranks = 2, samples = 20;
  size_t min_bytes = 8, max_bytes = size_t{64} << 20, factor = 2;
  std::vector<size_t> sizes;  // ascending
  bool bind = true;
  std::string bare = "all_reduce";  // or none
  bool mapped = false;
};

// Memory of all ranks. cells[r] is written by r's left neighbour (release) and read by r (acquire), swaps[r] by r and read by all;
// times[r] and places[r] by r before a barrier and by rank 0 after it; tiles by their owner before a barrier and by all after it.
struct alignas(4096) FloorShared {
  alignas(64) std::atomic<uint32_t> arrived{0};
  alignas(64) std::atomic<uint32_t> phase{0};
  struct alignas(64) Cell {
    std::atomic<uint64_t> value{0};
  } cells[kMaxRanks], swaps[kMaxRanks][kSwaps];
  struct alignas(64) Slot {
    double time_us;
    char place[56];
  } slots[kMaxRanks];
  BareSteps steps[kMaxRanks];
  // The ranks' tiles lie behind, each on pages of its own; then the slots of bare.
  std::byte* tile(size_t rank) { return reinterpret_cast<std::byte*>(this + 1) + rank * kTile; }
  std::byte* bare_slots(int ranks) { return tile(static_cast<size_t>(ranks)); }
  static size_t bytes(int ranks) { return sizeof(FloorShared) + static_cast<size_t>(ranks) * (kTile + kBareBytesPerRank); }
};
static_assert(sizeof(FloorShared) % 4096 == 0);

// Of one rank's input or output.
inline size_t mapped_bytes(const FloorConfig& config) { return (config.sizes.back() + 4095) / 4096 * 4096; }

// Measures everything and, as rank 0, prints it. All ranks call this at once, each in a process of its own. mapped: the outputs, then the
// inputs of all ranks, mapped_bytes() each; or null. crowded: more ranks than cores, so that a waiting rank must let others run.
void run_floor_rank(const FloorConfig& config, FloorShared& shared, std::byte* mapped, int rank, bool crowded);

}  // namespace tutti::perf

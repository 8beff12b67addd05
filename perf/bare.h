// bare: the plainest AllReduce of floats between ranks that share memory, as a yardstick: what a program reaches that does nothing
// else. Sums are made in the order of ranks from one's own on, so results differ between ranks in their last bits.
//
// The message goes tile by tile. once: every rank copies its tile into its slot, waits until all have, and adds all slots.
// twice: it adds its own share of all slots and puts the sum into its slot of sums, waits again, and copies the others' shares.
// A slot is used for every other tile: who goes on to the next tile has read all of the one before, and says so by it.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tutti::perf {

inline constexpr size_t kBareTile = 128 << 10;
inline constexpr size_t kBareBytesPerRank = 4 * kBareTile;  // two slots, and two of sums

// Tiles that a rank has written, and added. Stored by the rank with release, after the slots; read by the others with acquire.
struct alignas(64) BareSteps {
  std::atomic<uint64_t> written{0};
  alignas(64) std::atomic<uint64_t> added{0};
};

class BareAllReduce {
 public:
  struct Way {
    bool twice, streamed;  // streamed: results are written past the caches
  };
  // Those worth trying.
  static std::span<const Way> ways(size_t bytes);

  // steps: of all ranks; slots: kBareBytesPerRank of each, side by side. All ranks make the same calls.
  BareAllReduce(int rank, int ranks, BareSteps* steps, std::byte* slots, bool crowded)
      : rank_(rank), ranks_(ranks), steps_(steps), slots_(slots), crowded_(crowded),
        written_(steps[rank].written.load()), added_(steps[rank].added.load()) {}
  void run(float* out, const float* in, size_t count, Way way);

 private:
  float* slot(int rank, uint64_t tile, bool sums) const;
  void wait(std::atomic<uint64_t> BareSteps::* step, uint64_t until) const;
  void add(float* out, float* sums, const float* in, uint64_t tile, size_t first, size_t last, bool streamed) const;

  const int rank_, ranks_;
  BareSteps* const steps_;
  std::byte* const slots_;
  const bool crowded_;
  uint64_t written_, added_;
};

}  // namespace tutti::perf

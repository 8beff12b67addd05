// part: one rank's part in a call of a world: its buffers, and what must be in them at the end.
#pragma once
#include <string>
#include <vector>

#include "lib/exec/execution.h"
#include "lib/sched/algorithm.h"
#include "tests/harness/dice.h"

namespace tutti::test::world {

// A call, as all ranks see it.
struct Call {
  Collective collective{};
  const Algorithm* algorithm = nullptr;
  int root = 0;
  bool uniform = true;
  bool paired = false;         // AlltoAll with a count of its own for every two ranks
  std::vector<bool> in_place;  // per rank
  tuttiDataType_t type{};
  int op = 0;  // as in tests/harness/values.h
  bool exact = false, streaming = false;
  // Of block b. If paired, [a * ranks + b]: what rank a sends to rank b.
  std::vector<size_t> counts;
  uint64_t seed = 0;

  Fill fill() const { return fill_for(type, op, exact); }
};

// One rank's part in one round of a call: its buffers, and what must be in them.
class Part {
 public:
  Part(const Call& call, int rank, int ranks, Dice& dice);
  // Writes the addresses and layouts of the buffers to the operation.
  void aim(Operation& operation) const;
  // The buffers as a caller passes them. Counts and starts are those of the V calls.
  const std::byte* input() const { return input_; }
  std::byte* output() const { return output_; }
  const std::vector<size_t>& in_counts() const { return in_counts_; }
  const std::vector<size_t>& out_counts() const { return out_counts_; }
  const std::vector<size_t>& in_starts() const { return in_starts_; }
  const std::vector<size_t>& out_starts() const { return out_starts_; }
  // "" or what is wrong with the buffers. Then overwrites them.
  std::string check_and_spoil();
  // "" or that a byte has changed since then.
  std::string changed() const;

 private:
  struct Memory {
    std::vector<std::byte> bytes;
    std::byte* data = nullptr;
    size_t size = 0;
    void make(size_t size_given, size_t shift);
    bool guards_hold() const;
  };
  bool holds_input() const { return !sends_from_root() || rank_ == call_.root; }
  bool holds_output() const { return !ends_at_root() || rank_ == call_.root; }
  bool sends_from_root() const { return call_.collective == Collective::Broadcast || call_.collective == Collective::Scatter; }
  bool ends_at_root() const { return call_.collective == Collective::Reduce || call_.collective == Collective::Gather; }
  bool own_block_in() const { return call_.collective == Collective::AllGather || call_.collective == Collective::Gather; }
  bool own_block_out() const { return call_.collective == Collective::ReduceScatter || call_.collective == Collective::Scatter; }
  std::string check() const;

  const Call& call_;
  const int rank_, ranks_;
  const size_t bytes_;
  const bool in_place_;
  std::vector<size_t> in_counts_, out_counts_, in_starts_, out_starts_;
  Memory in_, out_;  // in place: all is in out_
  std::vector<std::byte> before_;
  std::byte *input_ = nullptr, *output_ = nullptr;  // as a caller would pass them
  std::vector<std::byte> spoiled_in_, spoiled_out_;
};

}  // namespace tutti::test::world

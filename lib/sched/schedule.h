// schedule: what an algorithm says, as plain data.
//
// A message of `count` elements is seen as `blocks` blocks (one for AllReduce, Reduce, Broadcast; one per rank for the
// rest) and cut into `chunks` chunks, the same number in every block: chunk c is piece c % k of block c / k, k = chunks /
// blocks. Input and Output are numbered alike, also where a rank holds only its own block (AllGather's input is the chunks
// of block `rank`, and so on), so "in place" always means: Input chunk c and Output chunk c are the same memory. Scratch
// holds `scratch_copies` copies of the message; scratch chunk s has the size of chunk s % chunks.
// No pointers and no sizes: one schedule serves every count, type and tile.
//
// What a rank has (Input) and must have at the end (Output), in chunks:
//   AllReduce      in: all                 out: all, reduced over all ranks
//   Reduce         in: all                 out (root only): all, reduced
//   Broadcast      in (root only): all     out: all
//   AllGather      in: block rank          out: all
//   ReduceScatter  in: all                 out: block rank, reduced
//   AlltoAll       in: all (block d is for rank d)   out: all (block s came from rank s)
//   Gather         in: block rank          out (root only): all
//   Scatter        in (root only): all     out: block rank
#pragma once
#include <cstdint>
#include <vector>

#include "lib/topo/topology.h"

namespace tutti {

enum class Collective : uint8_t {
  AllReduce,
  Reduce,
  Broadcast,
  AllGather,
  ReduceScatter,
  AlltoAll,
  Gather,
  Scatter,
};
inline constexpr int kCollectives = 8;
const char* name_of(Collective collective);
bool has_root(Collective collective);
bool reduces(Collective collective);
// Blocks of the message: 1 or `ranks`.
uint32_t blocks_of(Collective collective, int ranks);

// The table above: whether `rank` has this block as Input, and may write and must have it as Output.
bool has_input(Collective collective, int root, int rank, uint32_t block);
bool has_output(Collective collective, int root, int rank, uint32_t block);

// What an algorithm is asked. Pure input: two ranks with equal problems (but for `rank`) build schedules that fit.
struct Problem {
  Collective collective;
  int32_t root;  // 0 where the collective has none
  int32_t rank, ranks;
  bool in_place;  // Input chunk c is Output chunk c
  bool uniform;   // all blocks of one size; false for the V collectives, whose chunks keep their number on every hop
  const Topology& topology;
  bool mapped = false;  // ranks of a host reach into one another's buffers: sums are written where they belong. For prices only
};

enum class Action : uint8_t { Send, Recv, RecvReduce, Copy, Reduce };
enum class Buffer : uint8_t { Input, Output, Scratch };
const char* name_of(Action action);
const char* name_of(Buffer buffer);

// A run of chunks starts here.
struct Ref {
  Buffer buffer;
  uint32_t chunk;
  bool operator==(const Ref&) const = default;
};
inline Ref input(uint32_t chunk) {
  return {Buffer::Input, chunk};
}
inline Ref output(uint32_t chunk) {
  return {Buffer::Output, chunk};
}
inline Ref scratch(uint32_t chunk) {
  return {Buffer::Scratch, chunk};
}

struct Step {
  Action action;
  uint8_t channel;   // 0..kChannels-1
  int32_t peer;      // -1: local
  Ref src, dst;      // Send reads src; Recv and RecvReduce write dst; Copy and Reduce do both
  uint32_t chunks;   // length of the run
  uint32_t message;  // k-th message on (me, peer, channel) in this direction
};
inline constexpr uint8_t kChannels = 3;

struct Schedule {
  uint32_t chunks = 1, scratch_copies = 0;
  uint32_t largest_message = 1;                     // in chunks, over all ranks: the same number on every rank
  std::vector<Step> steps;                          // in program order
  std::vector<std::vector<uint32_t>> dependencies;  // per step: earlier steps that must be done first
};

}  // namespace tutti

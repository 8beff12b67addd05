// collective: what the benchmark knows about each collective, one table row each.
//
// A row says how a rank's buffers are laid out, how the public call is made, what the output has to be, and the factor from algorithm
// bandwidth to bus bandwidth. Everything else in perf/ is the same for all collectives.
// `count` is the call's count argument, in elements: of the whole message, or, where `per_block` is set, of one block.
#pragma once
#include <cstddef>
#include <vector>

#include "tutti/tutti.h"

namespace tutti::perf {

struct Who {
  int rank, ranks, root;
};

// One rank's buffers in elements. An in-place call has one buffer, in which input and output start at send_at and recv_at.
struct Shape {
  size_t send_count, recv_count;
  size_t send_at = 0, recv_at = 0;
};

// Output elements [out_first, out_first + count) are the elements from in_first on of the input of rank `source`, or, where
// source is kAllRanks, of all ranks' inputs reduced.
inline constexpr int kAllRanks = -1;
struct Piece {
  size_t out_first, count;
  int source;
  size_t in_first;
};

struct Call {
  const void* send;
  void* recv;
  size_t count;
  tuttiDataType_t type;
  tuttiRedOp_t op;
  Who who;
  tuttiComm_t comm;
  tuttiStream_t stream;
};

struct Collective {
  const char* name;
  bool reduces, rooted, in_place, per_block;
  Shape (*shape)(size_t count, const Who& who);
  std::vector<Piece> (*expect)(size_t count, const Who& who);
  tuttiResult_t (*call)(const Call& call);
  double (*bus_factor)(double ranks);
  bool has_data = true;  // false: there is one case, of no size and no type
};

// nullptr: no such name.
const Collective* find_collective(const char* name);

size_t size_of(tuttiDataType_t type);  // bytes

}  // namespace tutti::perf

// call: what a user asked for, validated, as plain data; and its signature.
//
// The signature travels with every message of the call. It is not a hash but the call itself, packed, so that a rank that
// receives a foreign one can say what the other rank called:
//   kind 4 | type 4 | op 4 | remark 1 | root 11 | count 40 bits
// The remark (kRemark, lib/exec/execution.h) is a rank's own.
// A count past 2^40-1 and the counts of the V collectives are folded into their 40 bits.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "lib/dtype/dtype.h"
#include "lib/sched/schedule.h"

namespace tutti {

enum class CallKind : uint8_t {
  AllReduce, Reduce, Broadcast, AllGather, ReduceScatter, AlltoAll, Gather, Scatter,  // as Collective
  Barrier, PointToPoint, AllGatherV, ReduceScatterV, AllToAllV,
};

// The C API's ops: the first four are Op, then avg, then ops made by the user.
inline constexpr int kOpAvg = 4;
inline constexpr int kFirstUserOp = 5;

struct Call {
  CallKind kind = CallKind::Barrier;
  bool sends = false;           // PointToPoint: the direction
  Type type = Type::U8;
  int op = 0;
  int root = 0;                 // or the peer
  size_t count = 0;             // as the API counts: of the call, or of one block
  const void* send = nullptr;
  void* recv = nullptr;
  // The V collectives' arrays; one allocation, null for all others.
  struct Blocks {
    std::vector<size_t> send_counts, send_starts, recv_counts, recv_starts;
  };
  std::unique_ptr<const Blocks> blocks;
};

uint64_t signature_of(const Call& call);
// "AllReduce (float32, sum, 1024 elements)"
std::string describe(uint64_t signature);
Collective collective_of(CallKind kind);  // not for PointToPoint

}  // namespace tutti

// call: what a user asked for, validated, as plain data; and its signature.
//
// The signature travels with every message of the call. It is not a hash but the call itself, packed, so that a rank that
// receives a foreign one can say what the other rank called:
//   kind 6 | type 6 | op 4 | mapped 1 | root 11 | count 36 bits
// The mapped flag (kMappedFlag, lib/exec/signature.h) may differ between ranks.
// A count past 2^36-1 is folded into its 36 bits. For AllGatherV and ReduceScatterV the 36 bits are a hash of all counts. For AlltoAllV
// they are the count of the message's two ranks.
// The call's number travels with the signature. Collectives are numbered on the communicator; sends and receives between two ranks.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "lib/dtype/dtype.h"
#include "lib/sched/schedule.h"

namespace tutti {

enum class CallKind : uint8_t {
  AllReduce, Reduce, Broadcast, AllGather, ReduceScatter, AlltoAll, Gather, Scatter,  // as Collective
  Barrier, PointToPoint, AllGatherV, ReduceScatterV, AlltoAllV,
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
CallKind kind_of(uint64_t signature);
size_t count_of(uint64_t signature);
// "AllReduce (float32, sum, count 1024)"
std::string describe(uint64_t signature);
const char* name_of(CallKind kind);  // "AllReduce"
// "Send (float32, count 8) to rank 1", "Recv (float32, count 8) from rank 1"
std::string describe_single(uint64_t signature, bool sends, int peer);
// "4, 4, 8", or "4, 4, ..." if there are many.
std::string list_of(const std::vector<size_t>& counts);
Collective collective_of(CallKind kind);  // not for PointToPoint

}  // namespace tutti

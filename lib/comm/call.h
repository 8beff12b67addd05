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
#include <array>
#include <atomic>
#include <memory>
#include <optional>
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
// "Send (float32, count 8) to rank 1", "Recv (float32, count 8) from rank 1"
std::string describe_single(uint64_t signature, bool sends, int peer);
// "4, 4, 8", or "4, 4, ..." if there are many.
std::string list_of(const std::vector<size_t>& counts);
Collective collective_of(CallKind kind);  // not for PointToPoint

// The signatures of the last collectives that a rank has called, by their numbers.
class CallHistory {
 public:
  // Only the thread that makes the calls.
  void add(uint64_t number, uint64_t signature) { calls_[number % kKept].store(signature, std::memory_order_relaxed); }
  // Nothing if the call is too old, or has not been made. `last`: the number of the last call. Any thread. If calls are being made
  // meanwhile, the answer may be that of the call kKept later.
  std::optional<uint64_t> find(uint64_t number, uint64_t last) const {
    if (number < 1 || number > last || last - number >= kKept) return std::nullopt;
    return calls_[number % kKept].load(std::memory_order_relaxed);
  }

 private:
  static constexpr uint64_t kKept = 128;  // twice as many as messages from one rank can be on their way
  std::array<std::atomic<uint64_t>, kKept> calls_{};
};

}  // namespace tutti

// cases: one collective call as data, and one rank's part in it: buffers, the call, the check.
//
// All ranks hold the same Case. A Part fills its buffers, makes the call, and later checks that every element that must have
// come is right and that nothing else has changed: the input, the bytes around both buffers, gaps between blocks, and the
// output where this rank receives nothing.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/harness/values.h"

namespace tutti::test {

enum class Kind {
  AllReduce, Reduce, ReduceScatter, ReduceScatterV,  // these have an op
  Broadcast, Bcast, AllGather, AlltoAll, Gather, Scatter, SendRecv, Barrier, AllGatherV, AlltoAllV,
};
inline constexpr int kKinds = 14;
const char* name_of(Kind kind);
inline bool has_op(Kind kind) { return kind <= Kind::ReduceScatterV; }
bool has_root(Kind kind);

struct Case {
  Kind kind = Kind::Barrier;
  tuttiDataType_t type = tuttiFloat32;
  int op = 0;
  size_t count = 0;  // as the API counts; the V collectives draw theirs from 0..2*count
  int root = 0;
  uint32_t in_place = 0;               // bit r: rank r calls in place, where it can
  int send_shift = 0, recv_shift = 0;  // bytes off a 16-byte boundary
  bool exact = false;                  // inputs that allow no rounding
  uint32_t announced = 0;              // bit r: rank r's buffers are from tuttiMemAlloc, and registered while the call runs
  // What else can be one way or the other. SendRecv: 0 a shift round the ring, 1 two messages from everyone to everyone,
  // 2 a message from root to the next rank outside of a group. Others: bit 0: NULL where it is allowed, bit 1: the
  // scalar of premulsum is read when the call runs.
  int variant = 0;
  int stream = -1;  // of the player's streams; -1: NULL
  uint64_t seed = 0;
};
std::string describe(const Case& c);

// Memory between two guards.
class Guarded {
 public:
  // from_library: from tuttiMemAlloc.
  Guarded(size_t bytes, int shift, bool from_library, uint64_t seed);
  std::byte* data() { return memory_.get() + start_; }
  size_t size() const { return size_; }  // of the part between the guards
  void remember();
  // Forgets a range that may change: offset from data().
  void allow(size_t offset, size_t bytes);
  // "" or the place of a byte that differs from what was remembered.
  std::string changed() const;

 private:
  const size_t start_, size_, whole_;
  std::unique_ptr<std::byte[], void (*)(std::byte*)> memory_;
  std::vector<std::byte> before_;
};

class Part {
 public:
  Part(const Case& c, int rank, int ranks);
  // Throws Failure if a call does not return tuttiSuccess.
  void issue(tuttiComm_t comm, tuttiStream_t stream);
  // After the call is complete. Throws Failure. Call it once.
  void check();
  // Of the result: equal on all ranks after AllReduce.
  uint64_t checksum() const;
  // changed() tells which byte of the buffers has changed since remember(), or "". For the time after a failed call.
  void remember();
  std::string changed() const;

 private:
  // Elements [at, at + count) of the output: reduced from elements [first, ..) of all ranks, or those of rank `from`.
  struct Block {
    size_t at, count;
    int from;
    size_t first;
  };
  static constexpr int kReduced = -1;

  void plan();
  void plan_vector();
  void plan_send_recv();
  void allocate();
  void call(tuttiComm_t comm, tuttiStream_t stream);
  void call_send_recv(tuttiComm_t comm, tuttiStream_t stream);
  [[noreturn]] void fail(const std::string& text, tuttiResult_t result = tuttiSuccess) const;
  void need(tuttiResult_t result) const;
  size_t pairs_count(int from, int to) const;

  bool announced() const { return (case_.announced >> (rank_ % 32) & 1) != 0; }

  const Case case_;
  const int rank_, ranks_;
  const size_t bytes_;
  const Fill fill_;

  // Set by plan(): elements of the buffers (has_*: given at all), where the one lies in the other when in place.
  size_t send_count_ = 0, recv_count_ = 0;
  bool sends_ = false, receives_ = false, in_place_ = false;
  size_t send_at_ = 0, recv_at_ = 0;
  std::vector<Block> blocks_;
  std::vector<size_t> counts_, starts_, send_counts_, send_starts_;

  std::unique_ptr<Guarded> send_memory_, recv_memory_;  // in place: recv_memory_ is both
  std::byte *send_ = nullptr, *recv_ = nullptr;
  tuttiComm_t comm_ = nullptr;
  int user_op_ = -1;
  std::vector<void*> regions_;
  alignas(16) std::byte scalar_[8] = {};
};

}  // namespace tutti::test

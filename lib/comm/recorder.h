// recorder: the last calls that a rank has made on a communicator. They are always kept, in rings of fixed size.
//
// They answer what a rank called as which number, when ranks disagree; and when a communicator fails, they become the report of this
// rank (flight.h). One thread at a time writes. Any thread may read meanwhile: it may see a call that is kKept newer in the place of the
// oldest ones.
// A call costs no look at the clock: its begin is a count of ticks().
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "lib/base/clock.h"

namespace tutti {

// A call as it is remembered.
struct PastCall {
  uint64_t signature;
  uint64_t number;         // of the collective, or of the send or receive between the two ranks
  uint64_t began, ended;   // ticks; ended 0: not known
  bool finished;
  bool single, sends;      // a Send or Recv
  int peer;                // of a Send or Recv
  uint32_t stream;         // 0: stream NULL
};

class Recorder {
 public:
  static constexpr uint64_t kKept = 256;  // a power of two, and twice as many as messages from one rank can be on their way

  // A collective begins. Numbers are 1, 2, 3.
  void begin(uint64_t number, uint64_t signature) {
    signatures_[number % kKept].store(signature, std::memory_order_relaxed);
    begins_[number % kKept].store(ticks(), std::memory_order_relaxed);
  }
  void end(uint64_t number) { ends_[number % kKept].store(ticks(), std::memory_order_relaxed); }
  // The collectives [first, first + count) are those of a stream.
  void note_stream(uint64_t first, uint64_t count, uint32_t stream);
  // A Send or Recv begins, and ends. The answer is the place that end_single() wants.
  uint32_t begin_single(uint64_t signature, uint64_t number, int peer, bool sends);
  void end_single(uint32_t place);
  void set_single_stream(uint32_t stream) { single_stream_ = stream; }

  // The signature of a collective. `last`: the number of the last one. Nothing if the call is too old, or has not been made. Any thread.
  std::optional<uint64_t> find(uint64_t number, uint64_t last) const {
    if (number < 1 || number > last || last - number >= kKept) return std::nullopt;
    return signatures_[number % kKept].load(std::memory_order_relaxed);
  }
  // The last kKept calls, the oldest first. entered, finished: collectives. Any thread.
  std::vector<PastCall> calls(uint64_t entered, uint64_t finished) const;

 private:
  using Ring = std::array<std::atomic<uint64_t>, kKept>;
  struct Single {
    std::atomic<uint64_t> signature{0}, number{0}, began{0}, ended{0};
    std::atomic<int> peer{0};
    std::atomic<uint32_t> stream{0};
    std::atomic<bool> sends{false};
  };
  static constexpr int kStreamBits = 16;

  Ring signatures_{}, begins_{}, ends_{};
  Ring streams_{};  // number << kStreamBits | stream, of those on streams
  std::array<Single, kKept> singles_;
  std::atomic<uint64_t> single_count_{0};
  uint32_t single_stream_ = 0;
};

}  // namespace tutti

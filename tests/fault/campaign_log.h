// campaign_log: what happens in a world, written by its processes into memory that the judge shares.
//
// Each part has one writer; `events` and the other atomics are stored last, with release, so that who reads them finds what belongs to
// them. Times are nanoseconds of CLOCK_MONOTONIC, which is one for all processes of the machine.
#pragma once
#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>

#include "include/tutti/tutti.h"
#include "lib/base/clock.h"
#include "tests/fault/campaign_world.h"

namespace tutti::test::campaign {

struct Event {
  enum class What {
    Failed,  // a call of the library; result and sentence
    Wrong,   // a call succeeded, and its values are wrong; or memory changed after a call had failed
    Broken,  // another promise of the library's was broken
    Leak,    // of the process
  } what;
  int comm, rank, step;
  tuttiResult_t result;
  int64_t begin_ns, end_ns;  // of the call
  char call[160], text[2500];
};
constexpr int kMostEvents = 64;

// Of one thread; its watcher and whoever aborts beside it have logs of their own.
struct ThreadLog {
  std::atomic<int> events;
  Event event[kMostEvents];
  std::atomic<int> step;            // that it is in
  std::atomic<int64_t> call_since;  // 0: in no call of the library
  std::atomic<bool> ended;
  char call[160];

  void add(const Event& one) {
    const int at = events.load(std::memory_order_relaxed);
    if (at == kMostEvents) return;
    event[at] = one;
    events.store(at + 1, std::memory_order_release);
  }
};

// What became of a fault.
struct FaultLog {
  std::atomic<int64_t> at_ns;     // when it was done; 0: not at all
  std::atomic<int64_t> until_ns;  // Stop: when the process went on
  std::atomic<int> worker;        // Fork: the child's pid
};

struct Log {
  enum Id : int { kNotMade, kMade, kCannotBeMade };
  std::atomic<int> id_made[kMostComms];
  tuttiUniqueId ids[kMostComms];
  std::atomic<bool> joined_all, over;  // by the one who runs the world: nobody joins any more; all are done
  std::atomic<bool> dead[kMostRanks + 1];
  ThreadLog threads[kMostRanks], beside[kMostRanks];  // by thread that makes calls: what it writes, and what others do to it
  ThreadLog processes[kMostRanks];
  FaultLog faults[2];
  std::atomic<int64_t> left_ns[kMostComms][kMostRanks], aborted_ns[kMostComms][kMostRanks];  // when a rank began to; 0: not yet

  // The first time counts.
  static void note_time(std::atomic<int64_t>& at_ns) {
    int64_t never = 0;
    at_ns.compare_exchange_strong(never, now_ns());
  }
  bool id_is_known(int comm) const { return id_made[comm].load(std::memory_order_acquire) != kNotMade; }
};

template <size_t kSize>
void put(char (&to)[kSize], const std::string& text) {
  const size_t length = text.size() < kSize - 1 ? text.size() : kSize - 1;
  std::memcpy(to, text.data(), length);
  to[length] = '\0';
}

}  // namespace tutti::test::campaign

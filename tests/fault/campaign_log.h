// campaign_log: what happens in a world. The world's processes write it into memory that they share with the judge.
//
// Each part has one writer, except the times that note_time() sets. The writer stores `events` and the other atomics last, with release. A
// reader who acquires them sees the data that belongs to them. Times are nanoseconds of CLOCK_MONOTONIC, the same clock for all processes.
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
    Failed,  // a call of the library failed
    Wrong,   // a call succeeded with wrong values, or memory changed after a call had failed
    Broken,  // the library broke another promise
    Leak,    // the process kept something
  } what;
  int comm, rank, step;
  tuttiResult_t result;
  int64_t begin_ns, end_ns;  // of the call
  char call[160], text[2500];
};
constexpr int kMostEvents = 64;

// The log of one thread. Threads that abort its communicators have logs of their own.
struct ThreadLog {
  std::atomic<int> events;
  Event event[kMostEvents];
  std::atomic<int> step;            // the thread's current step
  std::atomic<int64_t> call_since;  // begin of the current call of the library; 0: none
  std::atomic<bool> ended;
  char call[160];

  void add(const Event& one) {
    const int at = events.load(std::memory_order_relaxed);
    if (at == kMostEvents) return;
    event[at] = one;
    events.store(at + 1, std::memory_order_release);
  }
};

// Whether and when a fault was carried out.
struct FaultLog {
  std::atomic<int64_t> at_ns;     // when it was carried out; 0: not yet
  std::atomic<int64_t> until_ns;  // Stop: when the process went on
  std::atomic<int> worker;        // Fork: the pid of a child that lives on
};

struct Log {
  enum Id : int { kNotMade, kMade, kCannotBeMade };
  std::atomic<int> id_made[kMostComms];
  tuttiUniqueId ids[kMostComms];
  std::atomic<bool> joined_all, over;  // the runner sets them: nobody joins any more; all are done
  std::atomic<bool> dead[kMostRanks + 1];
  std::atomic<bool> limits_over[kMostRanks];  // by process: no fault limits it any more
  ThreadLog threads[kMostRanks], beside[kMostRanks];  // by driver: the driver's own log, and that of threads that abort its communicators
  ThreadLog processes[kMostRanks];
  FaultLog faults[2];
  std::atomic<int64_t> left_ns[kMostComms][kMostRanks], aborted_ns[kMostComms][kMostRanks];  // when a rank began to leave or abort; 0: not yet

  // Sets the time unless it is set already.
  static void note_time(std::atomic<int64_t>& at_ns) {
    int64_t never = 0;
    at_ns.compare_exchange_strong(never, now_ns());
  }
  // Whether the process has been stopped, and will not go on.
  bool is_stopped(const World& world, int process) const {
    for (size_t i = 0; i < world.faults.size(); ++i) {
      const Fault& fault = world.faults[i];
      if (fault.fate == Fate::Stop && fault.amount < 0 && world.process_of(fault.rank) == process && faults[i].at_ns > 0) return true;
    }
    return false;
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

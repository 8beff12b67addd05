// drive: the waiting loop. Spins while an answer is near, then yields the core, then sleeps; every wait sees the abort flag
// and the deadline.
//
// When ranks and cores are as many, a waiting rank owns its core and polls it for TUTTI_SPIN_US; when ranks outnumber the
// cores it yields at once, because the rank it waits for may need this very core.
#include <sched.h>

#include <algorithm>

#include "lib/base/clock.h"
#include "lib/base/descriptor.h"
#include "lib/comm/underway.h"

namespace tutti {
namespace {

constexpr int kSpins = 2000;              // polls before the first yield, with a core of one's own
constexpr int kYieldsPerClock = 8;        // between looks at the clock
constexpr int kYieldsPerLook = 4096;      // at the deadline
constexpr int64_t kGraceNs = 3'000'000'000;  // for the answer who is to blame for a timeout

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

class Waiter {
 public:
  explicit Waiter(std::span<Underway* const> batches)
      : batches_(batches),
        spins_(std::any_of(batches.begin(), batches.end(), [](Underway* batch) { return batch->crowded(); }) ? 1 : kSpins),
        spin_ns_(batches[0]->spin_ns()) {}

  void reset() { idle_ = 0; }

  // One step of waiting. True: nothing has arrived, and the loop should look at the deadline.
  template <typename Advance>
  bool pause(Advance advance) {
    if (++idle_ < spins_) {
      relax();
      return false;
    }
    // The clock is looked at now and then only.
    const int64_t yields = idle_ - spins_;
    if (yields == kYieldsPerClock) since_ns_ = now_ns();
    if (yields % kYieldsPerClock != 0 || yields <= kYieldsPerClock || now_ns() - since_ns_ < spin_ns_) {
      sched_yield();
      return idle_ % kYieldsPerLook == 0;  // however long TUTTI_SPIN_US may be
    }
    sleep(advance);
    return true;
  }

 private:
  template <typename Visit>
  void for_each_transport(Visit visit) const {
    for (Underway* const batch : batches_)
      for (const auto& transport : batch->transports()) visit(*transport);
  }

  // Until one of the transports of all batches has something.
  template <typename Advance>
  void sleep(Advance advance) {
    for (Underway* const batch : batches_) batch->note_waiting();
    polls_.clear();
    for_each_transport([&](Transport& transport) {
      transport.add_descriptors(polls_);
      transport.arm();
    });
    if (advance()) {
      reset();
    } else {
      int64_t limit_ns = kLongSleepNs;
      for_each_transport([&](Transport& transport) { limit_ns = std::min(limit_ns, transport.may_sleep()); });
      if (limit_ns > 0) wait_for_any(polls_, limit_ns);
    }
    for_each_transport([](Transport& transport) { transport.disarm(); });
  }

  const std::span<Underway* const> batches_;
  const int spins_;
  const int64_t spin_ns_;
  int64_t idle_ = 0;
  int64_t since_ns_ = 0;
  std::vector<pollfd> polls_;
};

}  // namespace

void drive(std::span<Underway*> batches) {
  std::span<Underway*> left = batches;
  bool moved = false;
  const auto advance = [&] {
    moved = false;
    const auto done = std::partition(left.begin(), left.end(), [&](Underway* batch) { return batch->advance(moved) == Progress::Again; });
    left = left.first(static_cast<size_t>(done - left.begin()));
    return moved || left.empty();
  };

  Waiter waiter(batches);
  int64_t still_since_ns = 0;  // when the last progress was noticed to be over
  while (!left.empty()) {
    if (advance()) {
      waiter.reset();
      still_since_ns = 0;
    } else if (waiter.pause(advance)) {
      const int64_t now = now_ns();
      if (still_since_ns == 0) still_since_ns = now;
      const int64_t still_ns = now - still_since_ns;
      for (Underway* batch : left) {
        if (still_ns >= batch->timeout_ns()) batch->report_timeout();
        if (still_ns >= batch->timeout_ns() + kGraceNs) batch->give_up();
      }
    }
  }
}

}  // namespace tutti

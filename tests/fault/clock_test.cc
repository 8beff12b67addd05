// clock: deadlines follow the monotonic clock. They come in time when the wall clock is set forward or back.
#include <sys/syscall.h>

#include <ctime>

#include "tests/fault/board.h"

namespace {

std::atomic<time_t> wall_clock_off_s{0};

}  // namespace

// This program and its libraries read the clock here. The kernel's own wall clock does not change, nor do sleeps that follow it.
extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const long result = syscall(SYS_clock_gettime, clock, time);
  if (clock == CLOCK_REALTIME) time->tv_sec += wall_clock_off_s;
  return static_cast<int>(result);
}

using namespace tutti::test;

TEST_CASE("timeouts do not depend on the wall clock", "[fault]") {
  constexpr double kTimeout_s = 1.5;
  for (const time_t off_s : {100'000, -100'000}) {
    World world{.ranks = 2};
    world.environment = {{"TUTTI_TIMEOUT", "1.5"}, {"TUTTI_INIT_TIMEOUT", "1.5"}};
    run_with_faults(world, -1, [&](Rank& rank) {
      wall_clock_off_s = off_s;
      const auto expect_timeout = [&](const char* what, auto call) {
        const double begin = now_s();
        rank.check(call(), what, tuttiRemoteError);
        const double took_s = now_s() - begin;
        expect(took_s > kTimeout_s * 0.9 && took_s < kTimeout_s + 3, std::string(what) + " took " + std::to_string(took_s) + " s");
      };
      int one = 1, sum = 0;
      tuttiComm_t comms[2] = {rank.join(0), rank.join(1)}, child = nullptr;
      if (rank.rank == 0) {
        expect_timeout("a split that the other does not call", [&] { return tuttiCommSplit(comms[0], 0, 0, &child, nullptr); });
        expect_timeout("a sum that the other does not call",
                       [&] { return tuttiAllReduce(&one, &sum, 1, tuttiInt, tuttiSum, comms[1], nullptr); });
      }
      rank.meet(1);
      for (const tuttiComm_t comm : comms) (void)tuttiCommAbort(comm);
    });
  }
}

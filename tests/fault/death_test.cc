// death: ranks that die, stop, abort, or leave without a word while others compute. Every survivor hears of it soon, by
// name, and is left with nothing.
#include <algorithm>
#include <cstring>

#include "tests/fault/board.h"

using namespace tutti::test;

namespace {

std::string name_of(int rank) {
  return "rank " + std::to_string(rank);
}

// AllReduces of 1 MiB until one fails; the result goes on the board. The memory is the library's, so that peers reach into it:
// not any more once a call has failed.
void reduce_until_failure(Board& board, int rank, tuttiComm_t comm, size_t count = 256 * 1024) {
  void *values = nullptr, *sums = nullptr;
  for (void** memory : {&values, &sums}) expect(tuttiMemAlloc(memory, count * sizeof(float)) == tuttiSuccess, "tuttiMemAlloc failed");
  std::fill_n(static_cast<float*>(values), count, 1.0f);
  while (board.slots[rank].result == tuttiSuccess)
    board.take(rank, tuttiAllReduce(values, sums, count, tuttiFloat, tuttiSum, comm, nullptr));
  std::memset(sums, 0x5a, count * sizeof(float));
  usleep(10'000);
  const std::byte* const bytes = static_cast<std::byte*>(sums);
  expect(std::all_of(bytes, bytes + count * sizeof(float), [](std::byte b) { return b == std::byte{0x5a}; }),
         "a peer wrote into a buffer after the call on it had failed");
  for (void* memory : {values, sums}) expect(tuttiMemFree(memory) == tuttiSuccess, "tuttiMemFree failed");
}

struct Death {
  int ranks, victim;
  bool asleep;  // the survivors have long been waiting when it comes
  bool past_caches = false;  // results are written past the caches, by peers
};

void check_death(const Death& death, unsigned seed) {
  INFO(death.ranks << " ranks, rank " << death.victim << " is killed" << (death.asleep ? ", the others asleep" : ""));
  std::mt19937 random(seed);
  const int64_t calls_before = 3 + static_cast<int64_t>(random() % 20);
  const useconds_t delay_us = random() % 3000;
  SharedBoard board;
  World world{.ranks = death.ranks};
  world.deadline_s = 60;
  if (death.past_caches) world.environment = {{"TUTTI_CACHE", "4096"}};
  run_with_faults(world, death.victim, [&](Rank& rank) {
    Board& all = *board.get();
    all.slots[rank.rank].pid = getpid();
    const tuttiComm_t comm = rank.join();
    if (rank.rank == death.victim) {
      if (death.asleep) {  // the others wait in their first AllReduce
        rank.wait_flag(1, static_cast<uint32_t>(rank.ranks - 1));
        usleep(300'000);  // far beyond the time they spin
        all.slots[rank.rank].at_ns = tutti::now_ns();
        kill(getpid(), SIGKILL);
      }
      std::thread([&] {
        while (all.slots[rank.rank].calls < calls_before) sched_yield();
        usleep(delay_us);  // somewhere inside a call
        all.slots[rank.rank].at_ns = tutti::now_ns();
        kill(getpid(), SIGKILL);
      }).detach();
    }
    rank.raise_flag(1);
    reduce_until_failure(all, rank.rank, comm);
    rank.check(tuttiBarrier(comm, nullptr), "a call after the failure",
               static_cast<tuttiResult_t>(all.slots[rank.rank].result.load()));
    tuttiResult_t state = tuttiSuccess;
    rank.check(tuttiCommGetAsyncError(comm, &state), "GetAsyncError");
    expect(state == tuttiRemoteError, "the asynchronous error is not RemoteError");
    rank.check(rank.rank % 2 ? tuttiCommDestroy(comm) : tuttiCommAbort(comm), "destroy or abort");
  });
  for (int rank = 0; rank < death.ranks; ++rank) {
    if (rank == death.victim) continue;
    check_failure(*board.get(), rank, tuttiRemoteError, {name_of(death.victim), "died"});
    const double late_s = static_cast<double>(board->slots[rank].at_ns - board->slots[death.victim].at_ns) * 1e-9;
    INFO("rank " << rank << " heard of it after " << late_s << " s");
    CHECK(late_s < 2);
  }
}

}  // namespace

TEST_CASE("a rank killed in the middle of AllReduces is named by all others within two seconds", "[fault]") {
  const unsigned seed = test_seed();
  for (const Death& death : {Death{2, 1, false}, Death{4, 2, false}, Death{4, 0, false}, Death{8, 5, false},
                             Death{8, 0, false}, Death{4, 3, true}, Death{4, 0, true}, Death{2, 0, false, true},
                             Death{4, 1, false, true}, Death{8, 7, false, true}, Death{4, 2, true, true}})
    check_death(death, seed);
}

// Each of them has lent its memory to the others when the one in another process dies; none of them can run while another waits.
TEST_CASE("ranks that one thread drives hear of a death as soon", "[fault]") {
  constexpr int kDriven = 4, kVictim = 1;
  constexpr size_t kCount = 256 * 1024;
  SharedBoard board;
  run_with_faults(World{.ranks = 2}, kVictim, [&](Rank& rank) {
    Board& all = *board.get();
    const tuttiUniqueId id = rank.id();
    std::vector<std::vector<float>> values(kDriven, std::vector<float>(kCount, 1.0f)), sums(kDriven, std::vector<float>(kCount));
    std::vector<tuttiComm_t> comms(rank.rank == kVictim ? 1 : kDriven);
    rank.check(tuttiGroupStart(), "tuttiGroupStart");
    for (size_t i = 0; i < comms.size(); ++i)
      rank.check(tuttiCommInitRank(&comms[i], kDriven + 1, id, rank.rank == kVictim ? kDriven : static_cast<int>(i)), "tuttiCommInitRank");
    rank.check(tuttiGroupEnd(), "tuttiGroupEnd");
    for (int calls = 0; all.slots[rank.rank].result == tuttiSuccess; ++calls) {
      if (rank.rank == kVictim && calls == 3) {
        usleep(100'000);  // the others wait for this one alone
        all.slots[kVictim].at_ns = tutti::now_ns();
        kill(getpid(), SIGKILL);
      }
      rank.check(tuttiGroupStart(), "tuttiGroupStart");
      for (size_t i = 0; i < comms.size(); ++i)
        rank.check(tuttiAllReduce(values[i].data(), sums[i].data(), kCount, tuttiFloat, tuttiSum, comms[i], nullptr), "tuttiAllReduce");
      all.take(rank.rank, tuttiGroupEnd());
    }
    for (const tuttiComm_t comm : comms) rank.check(tuttiCommAbort(comm), "abort");
  });
  check_failure(*board.get(), 0, tuttiRemoteError, {name_of(kDriven), "died"});
  CHECK(static_cast<double>(board->slots[0].at_ns - board->slots[kVictim].at_ns) * 1e-9 < 2);
}

TEST_CASE("a stopped rank is named at the deadline", "[fault]") {
  const int victim = GENERATE(2, 0);
  INFO("rank " << victim << " is stopped");
  SharedBoard board;
  World world{.ranks = 4};
  world.environment = {{"TUTTI_TIMEOUT", "1"}};
  run_with_faults(world, victim, [&](Rank& rank) {
    Board& all = *board.get();
    all.slots[rank.rank].pid = getpid();
    const tuttiComm_t comm = rank.join();
    rank.meet(0);
    if (rank.rank == victim) {
      all.slots[victim].at_ns = tutti::now_ns();
      kill(getpid(), SIGSTOP);
      wait_until([] { return false; }, 60, "being killed");
    }
    wait_until([&] { return all.slots[victim].at_ns != 0; }, 60, "the stop");
    reduce_until_failure(all, rank.rank, comm);
    rank.check(tuttiCommAbort(comm), "abort");
    rank.raise_flag(1);
    if (rank.rank == 3) {  // the last one out
      rank.wait_flag(1, 3);
      kill(all.slots[victim].pid, SIGKILL);
    }
  });
  for (int rank = 0; rank < 4; ++rank) {
    if (rank == victim) continue;
    check_failure(*board.get(), rank, tuttiRemoteError, {name_of(victim), "does not answer"});
    const double late_s = static_cast<double>(board->slots[rank].at_ns - board->slots[victim].at_ns) * 1e-9;
    CHECK(late_s < 1 + 2 + 2);  // the deadline, the time to answer, and slack
  }
}

TEST_CASE("a rank that never calls is named at the deadline, whatever the algorithm", "[fault]") {
  const std::string algorithm = GENERATE("ring", "tree", "oneshot");
  const int lazy = GENERATE(0, 2);
  INFO(algorithm << ", rank " << lazy << " does not call");
  SharedBoard board;
  World world{.ranks = 4};
  world.environment = {{"TUTTI_TIMEOUT", "1"}, {"TUTTI_ALGO", algorithm}};
  run_with_faults(world, -1, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    std::vector<int> values(1000, rank.rank), sums(1000);
    const auto reduce = [&] { return tuttiAllReduce(values.data(), sums.data(), 1000, tuttiInt, tuttiSum, comm, nullptr); };
    rank.check(reduce(), "the AllReduce that all call");
    rank.meet(0);
    const double begin = now_s();
    if (rank.rank == lazy) {
      // All messages of a one-hop AllReduce may be there already: the late call itself can still succeed. The error comes.
      rank.wait_flag(1, 3);
      tuttiResult_t seen = tuttiSuccess;
      for (const double until = now_s() + 2; seen == tuttiSuccess && now_s() < until; usleep(1000))
        rank.check(tuttiCommGetAsyncError(comm, &seen), "async error");
    }
    board->take(rank.rank, reduce());
    rank.raise_flag(1);
    if (rank.rank != lazy) expect(now_s() - begin < 1 + 2, "the deadline of 1 s was passed by 2 s");
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
  for (int rank = 0; rank < 4; ++rank)
    check_failure(*board.get(), rank, tuttiRemoteError, {name_of(lazy) + " has not called it", "AllReduce", "1 s"});
}

TEST_CASE("abort from another thread ends a blocked call here and everywhere", "[fault]") {
  const int aborter = GENERATE(1, 0);
  INFO("rank " << aborter << " aborts");
  SharedBoard board;
  run_with_faults({.ranks = 4}, -1, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    rank.meet(0);
    if (rank.rank == 3) {  // the one that the others wait for
      rank.wait_flag(1, 3);
      reduce_until_failure(*board.get(), 3, comm);
      rank.check(tuttiCommDestroy(comm), "destroy");
      return;
    }
    std::thread other;
    if (rank.rank == aborter)
      other = std::thread([&] {
        rank.wait_flag(2, 3);
        usleep(50'000);  // they are inside by now, and asleep
        const double begin = now_s();
        rank.check(tuttiCommAbort(comm), "abort");
        expect(now_s() - begin < 2, "abort did not return promptly");
      });
    rank.raise_flag(2);
    reduce_until_failure(*board.get(), rank.rank, comm);
    rank.raise_flag(1);
    if (rank.rank == aborter) {
      other.join();
      rank.check(tuttiBarrier(comm, nullptr), "a call after abort", tuttiInvalidArgument);
    } else {
      rank.check(tuttiCommDestroy(comm), "destroy");
    }
  });
  for (int rank = 0; rank < 4; ++rank) {
    if (rank == aborter)
      check_failure(*board.get(), rank, tuttiInvalidUsage, {"aborted"});
    else
      check_failure(*board.get(), rank, tuttiRemoteError, {name_of(aborter) + " aborted"});
  }
}

// Ranks in threads write into one another's memory, whatever it is; here for a long time in one go.
TEST_CASE("abort in the middle of AllReduces of threads", "[fault]") {
  std::mt19937 random(test_seed());
  for (const int ranks : {2, 4}) {
    for (int round = 0; round < 8; ++round) {
      INFO(ranks << " ranks, round " << round);
      const int64_t calls_before = 2 + static_cast<int64_t>(random() % 20);
      const useconds_t delay_us = random() % 3000;
      SharedBoard board;
      World world{.ranks = ranks, .threads = ranks};
      world.environment = {{"TUTTI_TILE", "8M"}};
      run_with_faults(world, -1, [&](Rank& rank) {
        const tuttiComm_t comm = rank.join();
        std::thread other;
        if (rank.rank == 0)
          other = std::thread([&] {
            while (board->slots[0].calls < calls_before) sched_yield();
            usleep(delay_us);  // somewhere inside a call
            rank.check(tuttiCommAbort(comm), "abort");
          });
        reduce_until_failure(*board.get(), rank.rank, comm, 2 << 20);
        if (other.joinable()) {
          other.join();
        } else {
          rank.check(tuttiCommDestroy(comm), "destroy");
        }
      });
      for (int rank = 1; rank < ranks; ++rank) check_failure(*board.get(), rank, tuttiRemoteError, {"rank 0 aborted"});
    }
  }
}

TEST_CASE("abort and destroy may meet in two threads", "[fault]") {
  run_with_faults({.ranks = 1}, -1, [&](Rank& rank) {
    for (int round = 0; round < 60; ++round) {
      tuttiComm_t comms[2];
      rank.check(tuttiCommInitAll(comms, 2, nullptr), "init all");
      std::thread waits([&] {  // makes a call that nobody joins, and destroys when that fails
        int one = 1, sum = 0;
        const tuttiResult_t result = tuttiAllReduce(&one, &sum, 1, tuttiInt, tuttiSum, comms[0], nullptr);
        expect(result != tuttiSuccess, "a call that nobody joined succeeded");
        tuttiResult_t first = tuttiSuccess;
        rank.check(tuttiCommGetAsyncError(comms[0], &first), "get async error");
        expect(first == tuttiInvalidUsage, "the first error is " + std::to_string(first));
        if (result == tuttiInvalidUsage) expect(std::strstr(tuttiGetLastError(comms[0]), "abort") != nullptr, tuttiGetLastError(comms[0]));
        rank.check(tuttiCommDestroy(comms[0]), "destroy");
      });
      usleep(static_cast<useconds_t>(round * 40));
      rank.check(tuttiCommAbort(comms[0]), "abort");
      waits.join();
      rank.check(tuttiCommAbort(comms[1]), "abort of the other");
    }
  });
}

TEST_CASE("exit without destroy is told to the others in their next call", "[fault]") {
  const int leaver = GENERATE(2, 0);
  SharedBoard board;
  run_with_faults({.ranks = 3}, leaver, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    rank.check(tuttiBarrier(comm, nullptr), "the first barrier");
    rank.meet(0);
    if (rank.rank == leaver) _exit(0);
    const double begin = now_s();
    board->take(rank.rank, tuttiBarrier(comm, nullptr));
    expect(now_s() - begin < 2, "it took more than 2 s");
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
  for (int rank = 0; rank < 3; ++rank)
    if (rank != leaver) check_failure(*board.get(), rank, tuttiRemoteError, {name_of(leaver), "died"});
}

TEST_CASE("who destroys early harms nobody who still receives", "[fault]") {
  const size_t count = GENERATE(size_t{4}, size_t{2'000'000});
  run_with_faults({.ranks = 4}, -1, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    std::vector<int> values(count, rank.rank == 1 ? 42 : -1);
    // The root is gone before this rank looks. (Over a network, the root's first message waits for the peer to answer the phone.)
    if (rank.rank == 3 && count == 4 && !std::getenv("TUTTI_TRANSPORTS")) rank.wait_flag(0, 1);
    rank.check(tuttiBcast(values.data(), count, tuttiInt, 1, comm, nullptr), "bcast");
    if (rank.rank == 1) {
      std::fill(values.begin(), values.end(), -5);  // ours again
      rank.check(tuttiCommDestroy(comm), "destroy");
      rank.raise_flag(0);
      return;
    }
    for (int value : values) expect(value == 42, "a wrong value arrived");
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
}

TEST_CASE("a broken connection is named by all", "[fault]") {
  SharedBoard board;
  run_with_faults({.ranks = 4}, -1, [&](Rank& rank) {
    if (rank.rank == 2) setenv("TUTTI_FAULT", "break=20", 1);
    const tuttiComm_t comm = rank.join();
    reduce_until_failure(*board.get(), rank.rank, comm);
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
  for (int rank = 0; rank < 4; ++rank)
    check_failure(*board.get(), rank, tuttiRemoteError, {"rank 2", "injected by TUTTI_FAULT", "AllReduce"});
}

TEST_CASE("a hundred lives leave nothing behind", "[fault]") {
  run_with_faults({.ranks = 3}, -1, [&](Rank& rank) {
    Holdings at_ten;
    for (int life = 0; life < 100; ++life) {
      rank.note("life " + std::to_string(life));
      const tuttiComm_t comm = rank.join(life);
      int value = rank.rank, sum = -1;
      rank.check(tuttiAllReduce(&value, &sum, 1, tuttiInt, tuttiSum, comm, nullptr), "AllReduce");
      expect(sum == 3, "a wrong sum");
      rank.check(life % 3 == 2 ? tuttiCommFinalize(comm) : tuttiSuccess, "finalize");
      rank.check(tuttiCommDestroy(comm), "destroy");
      tuttiComm_t alone = nullptr;  // and a life of one
      tuttiUniqueId id;
      rank.check(tuttiGetUniqueId(&id), "GetUniqueId");
      rank.check(tuttiCommInitRank(&alone, 1, id, 0), "init alone");
      rank.check(tuttiCommDestroy(alone), "destroy alone");
      if (life == 10) at_ten = Holdings::now();
    }
    at_ten.expect_again();
  });
}

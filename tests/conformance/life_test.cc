// life: making, splitting and leaving communicators, with calls on all of them.
#include <malloc.h>
#include <sched.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "tests/catch.h"
#include "tests/conformance/suite.h"

namespace tutti::test {
namespace {

// A few calls of all kinds; the key says which.
uint64_t exercise(Rank& rank, tuttiComm_t comm, uint64_t key) {
  int me = -1, ranks = -1;
  rank.check(tuttiCommUserRank(comm, &me), "tuttiCommUserRank");
  rank.check(tuttiCommCount(comm, &ranks), "tuttiCommCount");
  for (uint64_t i = 0; i < 6; ++i) {
    const uint64_t seed = hash(key, 6, i);
    const Case c = random_case(seed, static_cast<Kind>(seed % kKinds), ranks, seed / 16 % 3000);
    rank.note(describe(c));
    Part part(c, me, ranks);
    part.issue(comm, nullptr);
    part.check();
  }
  return 6;
}

World processes(int ranks, int threads = 1) {
  World world;
  world.ranks = ranks;
  world.threads = threads;
  return world;
}

void destroy(Rank& rank, tuttiComm_t comm) {
  rank.check(tuttiCommDestroy(comm), "tuttiCommDestroy");
}

// Resident KiB of the arenas that this process maps.
size_t arena_kib() {
  std::ifstream maps("/proc/self/smaps");
  size_t kib = 0;
  bool arena = false;
  for (std::string line; std::getline(maps, line);) {
    // A mapping's own line; its figures follow, each with a name and a colon first.
    if (line[line.find(' ') - 1] != ':') arena = line.find("memfd:tutti-arena") != std::string::npos;
    if (arena && line.rfind("Rss:", 0) == 0) kib += std::stoul(line.substr(4));
  }
  return kib;
}

// What the arenas hold after a long message both ways between two ranks tells whether it passed through a slot.
constexpr size_t kMessageBytes = 4 << 20, kSlotKib = 128;

size_t exchange(Rank& rank, tuttiComm_t comm, void* send, void* receive) {
  std::memset(send, rank.rank + 1, kMessageBytes);
  std::memset(receive, 0, kMessageBytes);
  rank.check(tuttiGroupStart(), "tuttiGroupStart");
  rank.check(tuttiSend(send, kMessageBytes, tuttiInt8, 1 - rank.rank, comm, nullptr), "tuttiSend");
  rank.check(tuttiRecv(receive, kMessageBytes, tuttiInt8, 1 - rank.rank, comm, nullptr), "tuttiRecv");
  rank.check(tuttiGroupEnd(), "tuttiGroupEnd");
  const auto* const bytes = static_cast<const char*>(receive);
  expect(std::all_of(bytes, bytes + kMessageBytes, [&](char b) { return b == 2 - rank.rank; }), "the message is wrong");
  return arena_kib();
}

}  // namespace

TEST_CASE("memory from the library is not copied on the way", "[life]") {
  if (transport() != "shm") return;
  for (const char* cache : {"4096", "1G"}) {  // written past the caches by the sender, or read in place by the receiver
    World world = processes(2);
    world.environment.emplace_back("TUTTI_CACHE", cache);
    conform(std::string("in place, cache of ") + cache, world, [](Rank& rank) -> uint64_t {
      const tuttiComm_t comm = rank.join();
      void *send = nullptr, *receive = nullptr;
      for (void** memory : {&send, &receive}) rank.check(tuttiMemAlloc(memory, kMessageBytes), "tuttiMemAlloc");
      const size_t in_place = exchange(rank, comm, send, receive);
      expect(in_place < kSlotKib, "a message in place left " + std::to_string(in_place) + " KiB in the arenas");
      std::vector<char> from(kMessageBytes), to(kMessageBytes);
      const size_t copied = exchange(rank, comm, from.data(), to.data());
      expect(copied >= kSlotKib, "a copied message left " + std::to_string(copied) + " KiB in the arenas");
      for (void* memory : {send, receive}) rank.check(tuttiMemFree(memory), "tuttiMemFree");
      destroy(rank, comm);
      return 4;
    });
  }
}

TEST_CASE("no memory is copied on the way between ranks of one process", "[life]") {
  if (transport() != "shm") return;
  conform("in place, threads", processes(2, 2), [](Rank& rank) -> uint64_t {
    const tuttiComm_t comm = rank.join();
    std::vector<char> from(kMessageBytes), to(kMessageBytes);
    const size_t left = exchange(rank, comm, from.data(), to.data());
    expect(left < kSlotKib, "a message left " + std::to_string(left) + " KiB in the arenas");
    destroy(rank, comm);
    return 2;
  });
}

// What a call was made ready for is kept: for more calls than are kept, in an order that is not theirs, with other buffers.
TEST_CASE("calls come round", "[life]") {
  for (const int threads : {1, 3}) {
    conform("round, threads " + std::to_string(threads), processes(3, threads), [](Rank& rank) -> uint64_t {
      // Several calls of each kind, which differ in count, type, op and root.
      constexpr Kind kKindsHere[] = {Kind::AllReduce, Kind::Reduce, Kind::AlltoAllV, Kind::ReduceScatter};
      constexpr uint64_t kCalls = 16, kRounds = 96;
      const tuttiComm_t comm = rank.join();
      for (uint64_t i = 0; i < kRounds; ++i) {
        const uint64_t which = hash(11, i) % (i < kRounds / 2 ? 4 : kCalls);
        Case c = random_case(hash(12, which), kKindsHere[(i < kRounds / 2 ? i / 24 : which) % 4], rank.ranks, 1 + which / 2 * 700);
        c.in_place = static_cast<uint32_t>(hash(13, i));
        c.seed = i;
        rank.note(describe(c));
        Part part(c, rank.rank, rank.ranks);
        part.issue(comm, nullptr);
        part.check();
      }
      destroy(rank, comm);
      return kRounds;
    });
  }
}

// Many collectives, of two kinds by turns, beside so many long messages that nothing kept ready is free.
TEST_CASE("what one call was made ready with serves the next", "[life]") {
  World world = processes(2);
  world.environment.emplace_back("TUTTI_TILE", "4096");
  conform("no piling up", world, [](Rank& rank) -> uint64_t {
    constexpr size_t kLong = 2 << 20, kMessages = 10;
    const tuttiComm_t comm = rank.join();
    std::vector<char> from(kLong), to(kLong * kMessages);
    const auto play = [&](int collectives) {
      float in[2] = {1, 2}, out[2];
      rank.check(tuttiGroupStart(), "tuttiGroupStart");
      for (size_t m = 0; m < kMessages; ++m) {
        rank.check(tuttiSend(from.data(), kLong - m, tuttiInt8, 1 - rank.rank, comm, nullptr), "tuttiSend");
        rank.check(tuttiRecv(to.data() + m * kLong, kLong - m, tuttiInt8, 1 - rank.rank, comm, nullptr), "tuttiRecv");
      }
      for (int k = 0; k < collectives; ++k)
        rank.check(tuttiAllReduce(in, out, 1 + static_cast<size_t>(k % 2), tuttiFloat, tuttiSum, comm, nullptr), "tuttiAllReduce");
      rank.check(tuttiGroupEnd(), "tuttiGroupEnd");
      return mallinfo2().uordblks;  // 0 under sanitizers, which have an allocator of their own
    };
    const size_t few = play(10), many = play(200);
    expect(many < few + (64 << 10), std::to_string(many - few) + " bytes more are held after 190 more calls");
    destroy(rank, comm);
    return 210;
  });
}

TEST_CASE("a communicator knows its ranks", "[life]") {
  conform("ranks", processes(3), [](Rank& rank) -> uint64_t {
    const tuttiComm_t comm = rank.join();
    int value = -1;
    rank.check(tuttiCommCount(comm, &value), "tuttiCommCount");
    expect(value == 3, "count");
    rank.check(tuttiCommUserRank(comm, &value), "tuttiCommUserRank");
    expect(value == rank.rank, "rank");
    tuttiResult_t state = tuttiInternalError;
    rank.check(tuttiCommGetAsyncError(comm, &state), "tuttiCommGetAsyncError");
    expect(state == tuttiSuccess, "state");
    rank.check(tuttiCommFinalize(comm), "tuttiCommFinalize");
    destroy(rank, comm);
    rank.check(tuttiCommDestroy(comm), "a second tuttiCommDestroy", tuttiInvalidArgument);
    return 1;
  });
}

TEST_CASE("nobody leaves a barrier before all have come", "[life]") {
  for (int threads : {1, 4}) {
    conform("barrier", processes(4, threads), [](Rank& rank) -> uint64_t {
      const tuttiComm_t comm = rank.join();
      constexpr int kRounds = 60;
      for (int round = 0; round < kRounds; ++round) {
        // The last to come comes late, in turn.
        if (round % rank.ranks == rank.rank) rank.wait_flag(round, static_cast<uint32_t>(rank.ranks) - 1);
        rank.raise_flag(round);
        rank.check(tuttiBarrier(comm, nullptr), "tuttiBarrier");
        expect(rank.flag(round) == static_cast<uint32_t>(rank.ranks), "left the barrier too early");
      }
      destroy(rank, comm);
      return kRounds;
    });
  }
}

TEST_CASE("splits by color and key", "[life]") {
  for (int threads : {1, 5}) {
    conform("split", processes(5, threads), [](Rank& rank) -> uint64_t {
      const tuttiComm_t world = rank.join();
      // Evens and odds, in reverse order; the last rank stays out of the second split.
      tuttiComm_t half = nullptr, rest = nullptr, quarter = nullptr;
      rank.check(tuttiCommSplit(world, rank.rank % 2, -rank.rank, &half, nullptr), "split");
      int me = -1, ranks = -1;
      rank.check(tuttiCommUserRank(half, &me), "tuttiCommUserRank");
      rank.check(tuttiCommCount(half, &ranks), "tuttiCommCount");
      expect(ranks == (rank.rank % 2 ? 2 : 3), "ranks of a half");
      expect(me == ranks - 1 - rank.rank / 2, "rank in a half");
      const int color = rank.rank == 4 ? TUTTI_SPLIT_NOCOLOR : 7;
      rank.check(tuttiCommSplit(world, color, 0, &rest, nullptr), "split with NOCOLOR");
      expect((rest == nullptr) == (rank.rank == 4), "NOCOLOR");
      rank.check(tuttiCommSplit(half, me == 0 ? 0 : 1, 0, &quarter, nullptr), "split of a split");
      uint64_t played = 0;
      for (uint64_t round = 0; round < 5; ++round) {
        played += exercise(rank, world, round);
        exercise(rank, half, 100 + round);
        if (rest) exercise(rank, rest, 200 + round);
        exercise(rank, quarter, 300 + round);
      }
      // In any order, the parent first too.
      if (rank.rank % 2) destroy(rank, world);
      destroy(rank, quarter);
      if (rest) destroy(rank, rest);
      destroy(rank, half);
      if (rank.rank % 2 == 0) destroy(rank, world);
      return 3 * played;
    });
  }
}

TEST_CASE("ranks of one host open no network", "[life]") {
  const Outcome outcome = run_ranks(processes(2), [](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    exercise(rank, comm, 1);
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) expect(line.find("libucp") == std::string::npos, "UCX was loaded");
    destroy(rank, comm);
  });
  INFO(outcome.text());
  CHECK(outcome.ok());
}

TEST_CASE("init, split and finalize that do not block", "[life]") {
  for (int threads : {1, 3}) {
    conform("blocking = 0", processes(3, threads), [](Rank& rank) -> uint64_t {
      const auto poll = [&](tuttiComm_t comm, const char* what) {
        tuttiResult_t state = tuttiInProgress;
        while (state == tuttiInProgress) {
          rank.check(tuttiCommGetAsyncError(comm, &state), "tuttiCommGetAsyncError");
          sched_yield();
        }
        rank.check(state, what);
      };
      tuttiConfig_t config = TUTTI_CONFIG_INITIALIZER;
      config.blocking = 0;
      config.commName = "polled";
      tuttiComm_t comm = nullptr, half = nullptr, rest = nullptr, blocking = nullptr;
      rank.check(tuttiCommInitRankConfig(&comm, rank.ranks, rank.id(), rank.rank, &config), "init", tuttiInProgress);
      expect(comm != nullptr, "the handle");
      poll(comm, "the end of init");
      uint64_t played = exercise(rank, comm, 1);

      rank.check(tuttiCommSplit(comm, 0, -rank.rank, &half, nullptr), "split", tuttiInProgress);
      poll(comm, "the end of a split");
      expect(half != nullptr, "the child's handle");
      rank.check(tuttiCommSplit(comm, rank.rank == 1 ? TUTTI_SPLIT_NOCOLOR : 3, 0, &rest, nullptr), "split with NOCOLOR", tuttiInProgress);
      poll(comm, "the end of a split with NOCOLOR");
      expect((rest == nullptr) == (rank.rank == 1), "NOCOLOR");
      config.blocking = 1;
      rank.check(tuttiCommSplit(half, 0, 0, &blocking, &config), "split of a child", tuttiInProgress);
      poll(half, "the end of the split of a child");
      played += exercise(rank, comm, 2) + exercise(rank, half, 3) + exercise(rank, blocking, 4);
      if (rest) exercise(rank, rest, 5);

      rank.check(tuttiCommFinalize(blocking), "finalize of a child that blocks");
      for (const tuttiComm_t it : {half, comm}) {
        rank.check(tuttiCommFinalize(it), "finalize", tuttiInProgress);
        if (it == half) poll(it, "the end of finalize");  // the other one is destroyed at once
      }
      for (const tuttiComm_t it : {blocking, rest, half, comm})
        if (it) destroy(rank, it);
      return played;
    });
  }
}

TEST_CASE("one thread makes several ranks in a group", "[life]") {
  conform("init in a group", processes(2), [](Rank& rank) -> uint64_t {
    constexpr int kRanks = 4;
    tuttiComm_t comms[2] = {};
    rank.check(tuttiGroupStart(), "tuttiGroupStart");
    for (int k = 0; k < 2; ++k)
      rank.check(tuttiCommInitRank(&comms[k], kRanks, rank.id(), 2 * k + rank.rank), "tuttiCommInitRank");
    rank.check(tuttiGroupEnd(), "tuttiGroupEnd");
    Player player(rank, {{rank.rank, comms[0]}, {2 + rank.rank, comms[1]}}, kRanks);
    for (uint64_t seed = 0; seed < 40; ++seed)
      player.play(random_case(hash(7, seed), static_cast<Kind>(seed % kKinds), kRanks, hash(8, seed) % 5000));
    // A split of both, in a group as well: the pairs that live in one process.
    tuttiComm_t pair[2] = {};
    rank.check(tuttiGroupStart(), "tuttiGroupStart");
    for (int k = 0; k < 2; ++k) rank.check(tuttiCommSplit(comms[k], rank.rank, 0, &pair[k], nullptr), "tuttiCommSplit");
    rank.check(tuttiGroupEnd(), "tuttiGroupEnd");
    {
      Player alone(rank, {{0, pair[0]}, {1, pair[1]}}, 2);
      for (uint64_t seed = 0; seed < 14; ++seed)
        alone.play(random_case(hash(9, seed), static_cast<Kind>(seed % kKinds), 2, hash(10, seed) % 5000));
    }
    for (tuttiComm_t comm : {pair[0], pair[1], comms[0], comms[1]}) destroy(rank, comm);
    return player.played();
  });
}

TEST_CASE("two communicators at once", "[life]") {
  conform("two", processes(3), [](Rank& rank) -> uint64_t {
    const tuttiComm_t first = rank.join(0), second = rank.join(1);
    uint64_t played = 0;
    for (uint64_t round = 0; round < 10; ++round) {
      played += exercise(rank, first, 2 * round);
      played += exercise(rank, second, 2 * round + 1);
    }
    destroy(rank, first);
    played += exercise(rank, second, 99);
    destroy(rank, second);
    return played;
  });
}

TEST_CASE("communicators come and go", "[life]") {
  for (int threads : {1, 3}) {
    conform("come and go", processes(3, threads), [](Rank& rank) -> uint64_t {
      uint64_t played = 0;
      for (int round = 0; round < 6; ++round) {
        tuttiComm_t comms[3];
        for (int k = 0; k < 3; ++k) comms[k] = rank.join(3 * round + k);
        for (int k = 0; k < 3; ++k) played += exercise(rank, comms[k], static_cast<uint64_t>(3 * round + k));
        for (int k = 0; k < 3; ++k) destroy(rank, comms[(k + round) % 3]);
      }
      return played;
    });
  }
}

}  // namespace tutti::test

// mismatch: ranks that make different calls. It is an error that names both calls, on every rank at once or in one of its
// next calls; never a hang, never a wrong value taken for a right one.
#include "tests/fault/board.h"

using namespace tutti::test;

namespace {

struct Mismatch {
  const char* name;
  tuttiResult_t (*common)(tuttiComm_t comm, float* send, float* recv);  // what all ranks but the odd one call
  tuttiResult_t (*odd)(tuttiComm_t comm, float* send, float* recv);
  std::vector<std::string> words;  // in the sentence, unless who saw it was through already, and in the next call
  bool silent = false;             // each waits for a message of the other's: only the deadline finds it
};

constexpr size_t kCount = 70'000;  // several tiles in each block of four ranks

const Mismatch kMismatches[] = {
    {"collective",
     [](tuttiComm_t c, float* s, float* r) { return tuttiAllReduce(s, r, kCount, tuttiFloat, tuttiSum, c, nullptr); },
     [](tuttiComm_t c, float* s, float* r) { return tuttiBroadcast(s, r, kCount, tuttiFloat, 0, c, nullptr); },
     {"AllReduce", "Broadcast"}},
    {"collective, small",
     [](tuttiComm_t c, float* s, float* r) { return tuttiAllGather(s, r, 2, tuttiFloat, c, nullptr); },
     [](tuttiComm_t c, float* s, float* r) { return tuttiAlltoAll(s, r, 2, tuttiFloat, c, nullptr); },
     {"AllGather", "AlltoAll"}},
    {"barrier",
     [](tuttiComm_t c, float*, float*) { return tuttiBarrier(c, nullptr); },
     [](tuttiComm_t c, float* s, float* r) { return tuttiAllReduce(s, r, 1, tuttiFloat, tuttiSum, c, nullptr); },
     {"Barrier", "AllReduce"}},
    {"count, small",
     [](tuttiComm_t c, float* s, float* r) { return tuttiAllReduce(s, r, 3, tuttiFloat, tuttiSum, c, nullptr); },
     [](tuttiComm_t c, float* s, float* r) { return tuttiAllReduce(s, r, 2, tuttiFloat, tuttiSum, c, nullptr); },
     {"AllReduce", "count 3", "count 2"}},
    {"count, large",
     [](tuttiComm_t c, float* s, float* r) { return tuttiAllReduce(s, r, kCount, tuttiFloat, tuttiSum, c, nullptr); },
     [](tuttiComm_t c, float* s, float* r) { return tuttiAllReduce(s, r, kCount - 1, tuttiFloat, tuttiSum, c, nullptr); },
     {"AllReduce", "count 70000", "count 69999"}},
    {"count, small and large",
     [](tuttiComm_t c, float* s, float* r) { return tuttiAllReduce(s, r, kCount, tuttiFloat, tuttiSum, c, nullptr); },
     [](tuttiComm_t c, float* s, float* r) { return tuttiAllReduce(s, r, 1, tuttiFloat, tuttiSum, c, nullptr); },
     {"AllReduce", "count 70000", "count 1"}},
    {"type of the same size",
     [](tuttiComm_t c, float* s, float* r) { return tuttiAllReduce(s, r, 8, tuttiFloat, tuttiSum, c, nullptr); },
     [](tuttiComm_t c, float* s, float* r) { return tuttiAllReduce(s, r, 8, tuttiInt32, tuttiSum, c, nullptr); },
     {"float32", "int32"}},
    {"op",
     [](tuttiComm_t c, float* s, float* r) { return tuttiAllReduce(s, r, 8, tuttiFloat, tuttiSum, c, nullptr); },
     [](tuttiComm_t c, float* s, float* r) { return tuttiAllReduce(s, r, 8, tuttiFloat, tuttiMax, c, nullptr); },
     {"sum", "max"}},
    {"root",
     [](tuttiComm_t c, float* s, float* r) { return tuttiReduce(s, r, 8, tuttiFloat, tuttiSum, 0, c, nullptr); },
     [](tuttiComm_t c, float* s, float* r) { return tuttiReduce(s, r, 8, tuttiFloat, tuttiSum, 1, c, nullptr); },
     {"root 0", "root 1"},
     true},
    {"counts of a V call",
     [](tuttiComm_t c, float* s, float* r) {
       const size_t counts[] = {5, 5, 5, 5};
       return tuttiAllGatherV(s, r, counts, nullptr, tuttiFloat, c, nullptr);
     },
     [](tuttiComm_t c, float* s, float* r) {
       const size_t counts[] = {5, 5, 6, 5};
       return tuttiAllGatherV(s, r, counts, nullptr, tuttiFloat, c, nullptr);
     },
     {"AllGatherV", "recvcounts 5, 5, "}},
};

}  // namespace

TEST_CASE("different calls are an error that names both, on every rank in one of its next calls", "[fault]") {
  for (const Mismatch& mismatch : kMismatches)
    for (int odd : {0, 1, 3}) {
      INFO("different " << mismatch.name << ", rank " << odd << " is the odd one");
      SharedBoard board;
      World world{.ranks = 4};
      world.deadline_s = 30;
      world.environment = {{"TUTTI_TIMEOUT", mismatch.silent ? "1" : "5"}};
      run_with_faults(world, -1, [&](Rank& rank) {
        const tuttiComm_t comm = rank.join();
        rank.meet(0);  // or the error would reach a rank still joining
        std::vector<float> send(4 * kCount, 1.0f), recv(4 * kCount);
        const double begin = now_s();
        board->take(rank.rank, (rank.rank == odd ? mismatch.odd : mismatch.common)(comm, send.data(), recv.data()));
        // Whom no foreign message has reached may get through a call or two; then those who saw it have told all.
        for (int calls = 0; calls < 3 && board->slots[rank.rank].result == tuttiSuccess; ++calls)
          board->take(rank.rank, tuttiBarrier(comm, nullptr));
        expect(mismatch.silent || now_s() - begin < 2, "it was found by its deadline only");
        rank.check(tuttiCommDestroy(comm), "destroy");
      });
      bool named = false;
      for (int rank = 0; rank < 4; ++rank) {
        const std::string text = board->slots[rank].text;
        check_failure(*board.get(), rank, tuttiInvalidUsage, {"ranks made different calls", "called"});
        bool all = true;
        for (const std::string& word : mismatch.words) all &= text.find(word) != std::string::npos;
        named |= all || text.find("Barrier") != std::string::npos;
      }
      INFO("rank 0 says: " << board->slots[0].text);
      CHECK(named);
    }
}

TEST_CASE("a Send and a Recv that do not fit are an error that names both", "[fault]") {
  SharedBoard board;
  World world{.ranks = 2};
  world.environment = {{"TUTTI_TIMEOUT", "5"}};
  run_with_faults(world, -1, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    float values[8] = {};
    board->take(rank.rank, rank.rank == 0 ? tuttiSend(values, 8, tuttiFloat, 1, comm, nullptr)
                                          : tuttiRecv(values, 7, tuttiFloat, 0, comm, nullptr));
    if (board->slots[rank.rank].result == tuttiSuccess) board->take(rank.rank, tuttiBarrier(comm, nullptr));
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
  for (int rank = 0; rank < 2; ++rank)
    check_failure(*board.get(), rank, tuttiInvalidUsage, {"rank 1 called Recv (float32, count 7) from rank 0", "rank 0 called Send (float32, count 8) to rank 1"});
}

TEST_CASE("a Recv whose Send never comes names the peer at the deadline", "[fault]") {
  SharedBoard board;
  World world{.ranks = 3};
  world.environment = {{"TUTTI_TIMEOUT", "1"}};
  run_with_faults(world, -1, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    float value = 0;
    const double begin = now_s();
    if (rank.rank == 1) {
      board->take(1, tuttiRecv(&value, 1, tuttiFloat, 2, comm, nullptr));
      expect(now_s() - begin < 3, "the deadline of 1 s was passed by 2 s");
    }
    rank.meet(0);
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
  check_failure(*board.get(), 1, tuttiRemoteError, {"rank 2", "1 s"});
}

// ---- messages that nobody receives: a later call must never take them for its own

namespace {

using RootedCall = tuttiResult_t (*)(tuttiComm_t comm, float* send, float* recv, int root);
struct Rooted {
  const char* name;
  RootedCall call;
};
constexpr size_t kFew = 8;
const Rooted kRooted[] = {
    {"Broadcast", [](tuttiComm_t c, float* s, float* r, int root) { return tuttiBroadcast(s, r, kFew, tuttiFloat, root, c, nullptr); }},
    {"Reduce", [](tuttiComm_t c, float* s, float* r, int root) { return tuttiReduce(s, r, kFew, tuttiFloat, tuttiSum, root, c, nullptr); }},
    {"Gather", [](tuttiComm_t c, float* s, float* r, int root) { return tuttiGather(s, r, kFew, tuttiFloat, root, c, nullptr); }},
    {"Scatter", [](tuttiComm_t c, float* s, float* r, int root) { return tuttiScatter(s, r, kFew, tuttiFloat, root, c, nullptr); }},
};

// The values of a rank in a round. After a Broadcast from rank 0 all ranks hold rank 0's.
float value_of(int rank, int round) { return static_cast<float>(1000 * (rank + 1) + round); }

World quick(int ranks) {
  World world{.ranks = ranks};
  world.deadline_s = 40;
  world.environment = {{"TUTTI_TIMEOUT", "2"}};
  return world;
}

}  // namespace

TEST_CASE("after a wrong root no later call gets the data of another", "[fault]") {
  for (const Rooted& rooted : kRooted)
    for (const int ranks : {2, 4})
      for (const int odd : {0, ranks - 1}) {
        INFO(rooted.name << ", " << ranks << " ranks, rank " << odd << " names another root");
        SharedBoard board;
        run_with_faults(quick(ranks), -1, [&](Rank& rank) {
          const tuttiComm_t comm = rank.join();
          rank.meet(0);
          std::vector<float> send(kFew * 4), recv(kFew * 4);
          for (int round = 0; round < 40 && board->slots[rank.rank].result == tuttiSuccess; ++round) {
            std::fill(send.begin(), send.end(), value_of(rank.rank, round));
            std::fill(recv.begin(), recv.end(), -1.0f);
            if (round == 3) {
              board->take(rank.rank, rooted.call(comm, send.data(), recv.data(), rank.rank == odd ? 1 - odd % 2 : odd % 2));
              continue;
            }
            const tuttiResult_t result = tuttiBroadcast(send.data(), recv.data(), kFew, tuttiFloat, 0, comm, nullptr);
            board->take(rank.rank, result);
            if (result == tuttiSuccess) expect(recv[0] == value_of(0, round), "a Broadcast succeeded with the data of another call");
          }
          board->take(rank.rank, tuttiBarrier(comm, nullptr));  // here all ranks get the error at the latest
          board->take(rank.rank, tuttiCommDestroy(comm));
        });
        for (int rank = 0; rank < ranks; ++rank)
          check_failure(*board.get(), rank, tuttiInvalidUsage, {"ranks made different calls", "called", "communicator"});
        std::string all;
        for (int rank = 0; rank < ranks; ++rank) all += board->slots[rank].text;
        INFO(all);
        CHECK(all.find(", root 0") != std::string::npos);
        CHECK(all.find(", root 1") != std::string::npos);
        CHECK(all.find("[collective #4 of communicator ") != std::string::npos);
      }
}

TEST_CASE("a rank that waits for the wrong root is told so, though the other ranks are through", "[fault]") {
  SharedBoard board;
  World world = quick(4);
  world.environment.emplace_back("TUTTI_ALGO", "oneshot");
  run_with_faults(world, -1, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    float value[kFew] = {};
    board->take(rank.rank, tuttiBcast(value, kFew, tuttiFloat, rank.rank == 3 ? 0 : 1, comm, nullptr));
    rank.meet(0);
    (void)tuttiCommDestroy(comm);
  });
  check_failure(*board.get(), 3, tuttiInvalidUsage,
                {"ranks made different calls: ranks 0, 1 and 2 called Broadcast (float32, root 1, count 8); rank 3 called Broadcast (float32, root 0, count 8)"});
  for (int rank = 0; rank < 3; ++rank) CHECK(board->slots[rank].result == tuttiSuccess);
}

TEST_CASE("a call that a rank leaves out is reported at the latest when the rank leaves", "[fault]") {
  for (const bool late : {false, true}) {
    INFO((late ? "the last call" : "a call in the middle") << " is left out");
    SharedBoard board;
    run_with_faults(quick(2), -1, [&](Rank& rank) {
      const tuttiComm_t comm = rank.join();
      float value[kFew] = {};
      constexpr int kCalls = 6;
      for (int round = 0; round < kCalls; ++round) {
        if (rank.rank == 1 && round == (late ? kCalls - 1 : 2)) continue;
        rank.check(tuttiBcast(value, kFew, tuttiFloat, 0, comm, nullptr), "bcast");
      }
      rank.meet(0);
      if (rank.rank == 0) rank.wait_flag(1, 1);
      board->take(rank.rank, tuttiCommDestroy(comm));
      rank.raise_flag(1);
    });
    // Rank 1 leaves first and reports the message that it has not received. Over shared memory rank 0 reports it, too. Over a network the message
    // may still be on its way; then rank 0, which leaves later, compares the numbers of calls.
    const bool network = std::getenv("TUTTI_TRANSPORTS");
    if (network && board->slots[1].result == tuttiSuccess) {
      check_failure(*board.get(), 0, tuttiInvalidUsage, {"ranks made different calls", "rank 0 made 6 collective calls", "rank 1 has left after 5"});
      continue;
    }
    for (int rank : {0, 1})
      if (rank == 1 || !network)
        check_failure(*board.get(), rank, tuttiInvalidUsage,
                      {"rank 0 called Broadcast (float32, root 0, count 8) [collective #6]", "rank 1 has left without receiving"});
  }
}

TEST_CASE("a call that one rank leaves out is reported to the rank that leaves later, even if no message of it has come", "[fault]") {
  for (const int first : {0, 1}) {
    INFO("rank " << first << " leaves first");
    SharedBoard board;
    run_with_faults(quick(2), -1, [&](Rank& rank) {
      const tuttiComm_t comm = rank.join();
      float value[kFew] = {};
      if (rank.rank == 0) board->take(0, tuttiBcast(value, kFew, tuttiFloat, 0, comm, nullptr));
      if (rank.rank != first) rank.wait_flag(1, 1);
      board->take(rank.rank, tuttiCommDestroy(comm));
      rank.raise_flag(1);
    });
    // Between hosts the Broadcast may have waited for rank 1 until its timeout.
    const bool waited = std::getenv("TUTTI_TRANSPORTS") && board->slots[0].result == tuttiRemoteError;
    if (waited)
      check_failure(*board.get(), 0, tuttiRemoteError, {"rank 1"});
    else
      check_failure(*board.get(), 1 - first, tuttiInvalidUsage, {"ranks made different calls on communicator", "Broadcast (float32, root 0, count 8)", "rank 1"});
  }
}

TEST_CASE("of ranks that have left, the one that made fewer calls is named", "[fault]") {
  SharedBoard board;
  run_with_faults(quick(3), -1, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    rank.meet(0);
    float value[kFew] = {};
    for (int round = rank.rank == 2 ? 1 : 0; round < 4; ++round) {
      const tuttiResult_t result = tuttiReduce(value, value, kFew, tuttiFloat, tuttiSum, 0, comm, nullptr);
      if (rank.rank == 0)
        board->take(0, result);
      else
        rank.check(result, "reduce");
    }
    (void)tuttiCommDestroy(comm);
  });
  check_failure(*board.get(), 0, tuttiRemoteError, {"rank 2 has left the communicator after 3 collective calls"});
  CHECK(std::string(board->slots[0].text).find("rank 1") == std::string::npos);
}

TEST_CASE("a Send that nobody receives is reported when ranks leave", "[fault]") {
  const bool receiver_first = GENERATE(true, false);
  INFO((receiver_first ? "the receiver" : "the sender") << " leaves first");
  SharedBoard board;
  run_with_faults(quick(2), -1, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    int values[kFew] = {};
    rank.check(rank.rank == 0 ? tuttiSend(values, kFew, tuttiInt, 1, comm, nullptr) : tuttiRecv(values, kFew, tuttiInt, 0, comm, nullptr), "one");
    if (rank.rank == 0) rank.check(tuttiSend(values, kFew, tuttiInt, 1, comm, nullptr), "a second send");
    rank.check(tuttiBarrier(comm, nullptr), "barrier");  // then the message has arrived
    const bool first = (rank.rank == 1) == receiver_first;
    if (!first) rank.wait_flag(1, 1);
    board->take(rank.rank, tuttiCommFinalize(comm));
    rank.raise_flag(1);
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
  check_failure(*board.get(), 1, tuttiInvalidUsage, {"rank 0 called Send (int32, count 8) to rank 1 [#2]", "rank 1 has left without receiving"});
  if (receiver_first && !std::getenv("TUTTI_TRANSPORTS")) check_failure(*board.get(), 0, tuttiInvalidUsage, {"Send (int32, count 8) to rank 1 [#2]"});
}

TEST_CASE("counts of AlltoAllV that differ between two ranks are named, whatever their tiles", "[fault]") {
  constexpr size_t kRight = 1 << 18;
  for (const size_t wrong : {4 * kRight, kRight + 1, kRight / 4, size_t{0}}) {
    INFO("rank 0 sends rank 1 " << wrong << " elements instead of " << kRight);
    SharedBoard board;
    run_with_faults(quick(2), -1, [&](Rank& rank) {
      const tuttiComm_t comm = rank.join();
      rank.meet(0);
      std::vector<float> send(8 * kRight, 1), recv(8 * kRight, -1);
      std::vector<size_t> sends(2, kRight), recvs(2, kRight);
      if (rank.rank == 0) sends[1] = wrong;
      for (int round = 0; round < 4 && board->slots[rank.rank].result == tuttiSuccess; ++round) {
        board->take(rank.rank, tuttiAlltoAllV(send.data(), sends.data(), nullptr, recv.data(), recvs.data(), nullptr, tuttiFloat, comm, nullptr));
        sends[1] = kRight;
        if (board->slots[rank.rank].result == tuttiSuccess) expect(rank.rank == 0 && round == 0, "a wrong AlltoAllV went through");
      }
      rank.check(tuttiCommDestroy(comm), "destroy");
    });
    for (int rank : {0, 1})
      check_failure(*board.get(), rank, tuttiInvalidUsage,
                    {"AlltoAllV", "sendcounts[1] = " + std::to_string(wrong), "recvcounts[0] = " + std::to_string(kRight), "elements"});
  }
}

TEST_CASE("a Send and a Recv of other lengths over several tiles are named", "[fault]") {
  constexpr size_t kRight = 1 << 18;
  for (const size_t wrong : {4 * kRight, kRight - 1}) {
    SharedBoard board;
    run_with_faults(quick(2), -1, [&](Rank& rank) {
      const tuttiComm_t comm = rank.join();
      rank.meet(0);
      std::vector<float> values(4 * kRight, 1);
      board->take(rank.rank, rank.rank == 0 ? tuttiSend(values.data(), wrong, tuttiFloat, 1, comm, nullptr)
                                            : tuttiRecv(values.data(), kRight, tuttiFloat, 0, comm, nullptr));
      if (board->slots[rank.rank].result == tuttiSuccess) board->take(rank.rank, tuttiBarrier(comm, nullptr));
      rank.check(tuttiCommDestroy(comm), "destroy");
    });
    for (int rank : {0, 1})
      check_failure(*board.get(), rank, tuttiInvalidUsage, {"count " + std::to_string(wrong) + ") to rank 1", "count " + std::to_string(kRight) + ") from rank 0"});
  }
}

TEST_CASE("a ring of Recvs is named", "[fault]") {
  SharedBoard board;
  World world = quick(3);
  run_with_faults(world, -1, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    rank.meet(0);
    float value = 0;
    board->take(rank.rank, tuttiRecv(&value, 1, tuttiFloat, (rank.rank + 1) % 3, comm, nullptr));
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
  for (int rank = 0; rank < 3; ++rank)
    check_failure(*board.get(), rank, tuttiInvalidUsage,
                  {"ranks 0, 1 and 2 wait for one another in a ring", "rank 2: in Recv (float32, count 1) from rank 0", "one group"});
}

TEST_CASE("a CommSplit that a rank does not call is named, and so is the call of that rank", "[fault]") {
  SharedBoard board;
  World world = quick(3);
  world.environment = {{"TUTTI_TIMEOUT", "20"}, {"TUTTI_INIT_TIMEOUT", "2"}};
  run_with_faults(world, -1, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    rank.check(tuttiBarrier(comm, nullptr), "barrier");
    tuttiComm_t child = nullptr;
    board->take(rank.rank, rank.rank == 2 ? tuttiBarrier(comm, nullptr) : tuttiCommSplit(comm, 0, rank.rank, &child, nullptr));
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
  for (int rank = 0; rank < 3; ++rank)
    check_failure(*board.get(), rank, tuttiRemoteError, {"CommSplit of communicator ", "rank 2 has not called it", "rank 2: in Barrier [collective #2"});
}

TEST_CASE("a stream keeps the error of a failed call until StreamSynchronize has returned it", "[fault]") {
  run_with_faults({.ranks = 2}, -1, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    tuttiStream_t stream = nullptr;
    rank.check(tuttiStreamCreate(&stream), "stream");
    float values[8] = {};
    rank.check(tuttiAllReduce(values, values, rank.rank == 0 ? 8 : 4, tuttiFloat, tuttiSum, comm, stream), "a queued call");
    tuttiResult_t result = tuttiInProgress;
    wait_until([&] { return (result = tuttiStreamQuery(stream)) != tuttiInProgress; }, 10, "the end of the call");
    expect(result == tuttiInvalidUsage, "a query after a failed call says " + std::to_string(result));
    expect(std::string(tuttiGetLastError(nullptr)).find("different calls") != std::string::npos, "the error does not name the different calls");
    rank.check(tuttiStreamQuery(stream), "a second query", tuttiInvalidUsage);
    rank.check(tuttiStreamSynchronize(stream), "synchronize", tuttiInvalidUsage);
    rank.check(tuttiStreamQuery(stream), "a query after that");
    rank.check(tuttiStreamDestroy(stream), "destroy the stream");
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
}

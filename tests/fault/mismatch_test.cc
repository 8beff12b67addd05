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
     {"AllGatherV", "hash"}},
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
    check_failure(*board.get(), rank, tuttiInvalidUsage, {"rank 0", "rank 1", "Send/Recv", "count 8", "count 7"});
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

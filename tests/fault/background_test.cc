// background: what goes wrong while an init, a split or a finalize goes on in the background; and revoking.
#include "tests/fault/board.h"

using namespace tutti::test;

namespace {

enum Way { Abort, Destroy, Revoke };

tuttiResult_t end_of(Rank& rank, tuttiComm_t comm, double seconds) {
  tuttiResult_t state = tuttiInProgress;
  wait_until(
      [&] {
        rank.check(tuttiCommGetAsyncError(comm, &state), "GetAsyncError");
        return state != tuttiInProgress;
      },
      seconds, "the end of what goes on in the background");
  return state;
}

tuttiComm_t join_without_blocking(Rank& rank) {
  tuttiConfig_t config = TUTTI_CONFIG_INITIALIZER;
  config.blocking = 0;
  tuttiComm_t comm = nullptr;
  rank.check(tuttiCommInitRankConfig(&comm, rank.ranks, rank.id(), rank.rank, &config), "init", tuttiInProgress);
  rank.check(end_of(rank, comm, 10), "the end of init");
  return comm;
}

void note_failure(Board& board, Rank& rank, tuttiComm_t comm, double seconds) {
  tuttiResult_t state = tuttiSuccess;
  wait_until([&] { return (state = end_of(rank, comm, seconds)) != tuttiSuccess; }, seconds, "a failure");
  std::strncpy(board.slots[rank.rank].text, tuttiGetLastError(comm), sizeof board.slots[rank.rank].text - 1);
  board.slots[rank.rank].result = state;
}

}  // namespace

TEST_CASE("revoke ends the calls of all ranks, and leaves them their communicators", "[fault]") {
  SharedBoard board;
  run_with_faults({.ranks = 3}, -1, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    float value = 1, sum = 0;
    rank.meet(0);
    if (rank.rank == 2) {
      rank.wait_flag(1, 2);
      usleep(50'000);  // the others are in the call, and asleep
      const double begin = now_s();
      rank.check(tuttiCommRevoke(comm, 0), "revoke");
      expect(now_s() - begin < 0.5, "revoke waited");
      rank.check(tuttiCommRevoke(comm, 0), "revoke again", tuttiInvalidUsage);
    } else {
      rank.raise_flag(1);
    }
    const double begin = now_s();
    board->take(rank.rank, tuttiAllReduce(&value, &sum, 1, tuttiFloat, tuttiSum, comm, nullptr));
    expect(now_s() - begin < 5, "the call did not end promptly");
    tuttiResult_t state = tuttiSuccess;
    rank.check(tuttiCommGetAsyncError(comm, &state), "GetAsyncError");
    rank.check(state, "the state", tuttiInvalidUsage);
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
  for (int rank = 0; rank < 3; ++rank) check_failure(*board.get(), rank, tuttiInvalidUsage, {"rank 2 revoked the communicator"});
}

TEST_CASE("a split in the background ends with its parent", "[fault]") {
  const Way way = GENERATE(Abort, Destroy, Revoke);
  INFO("way " << way);
  SharedBoard board;
  World world{.ranks = 3};
  world.environment = {{"TUTTI_INIT_TIMEOUT", "30"}};
  run_with_faults(world, -1, [&](Rank& rank) {
    const tuttiComm_t comm = join_without_blocking(rank);
    tuttiComm_t child = nullptr;
    if (rank.rank < 2) {  // rank 2 does not call it
      rank.check(tuttiCommSplit(comm, 0, 0, &child, nullptr), "split", tuttiInProgress);
      int value = 1, sum = 0;
      rank.check(tuttiAllReduce(&value, &sum, 1, tuttiInt, tuttiSum, comm, nullptr), "a call too early", tuttiInvalidUsage);
      rank.check(tuttiCommFinalize(comm), "finalize too early", tuttiInvalidUsage);
    }
    rank.meet(0);
    if (rank.rank == 0) {
      usleep(50'000);
      const double begin = now_s();
      if (way == Revoke) {
        rank.check(tuttiCommRevoke(comm, 0), "revoke");
        rank.check(end_of(rank, comm, 1), "the end of the split", tuttiInvalidUsage);
      }
      rank.check(way == Abort ? tuttiCommAbort(comm) : tuttiCommDestroy(comm), "abort or destroy");
      expect(now_s() - begin < 3, "it did not end promptly");
    } else {
      note_failure(*board.get(), rank, comm, 5);
      rank.check(tuttiCommDestroy(comm), "destroy");
    }
    expect(child == nullptr, "a child came of a split that failed");
  });
  for (int rank : {1, 2})
    check_failure(*board.get(), rank, way == Revoke ? tuttiInvalidUsage : tuttiRemoteError, {way == Revoke ? "rank 0 revoked" : "rank 0 aborted"});
}

TEST_CASE("a split in the background that a rank does not call fails its parent", "[fault]") {
  SharedBoard board;
  World world{.ranks = 3};
  world.environment = {{"TUTTI_INIT_TIMEOUT", "2"}};
  run_with_faults(world, -1, [&](Rank& rank) {
    const tuttiComm_t comm = join_without_blocking(rank);
    tuttiComm_t child = nullptr;
    if (rank.rank < 2) rank.check(tuttiCommSplit(comm, 0, 0, &child, nullptr), "split", tuttiInProgress);
    note_failure(*board.get(), rank, comm, 10);
    expect(child == nullptr, "a child came of a split that failed");
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
  for (int rank = 0; rank < 3; ++rank) check_failure(*board.get(), rank, tuttiRemoteError, {"CommSplit of", "rank 2 has not called it"});
}

TEST_CASE("a finalize in the background finds that a rank has left out a call", "[fault]") {
  if (std::getenv("TUTTI_TRANSPORTS")) return;  // over a network the message may still be on its way
  SharedBoard board;
  run_with_faults({.ranks = 2}, -1, [&](Rank& rank) {
    const tuttiComm_t comm = join_without_blocking(rank);
    float value = 1;
    for (int call = 0; call < 2 - rank.rank; ++call)
      rank.check(tuttiBroadcast(&value, &value, 1, tuttiFloat, 0, comm, nullptr), "broadcast");
    rank.meet(0);
    if (rank.rank == 0) rank.wait_flag(1, 1);
    const tuttiResult_t returned = tuttiCommFinalize(comm);
    if (rank.rank == 1) {
      rank.check(returned, "finalize", tuttiInProgress);
      note_failure(*board.get(), rank, comm, 5);
      rank.raise_flag(1);
    }
    (void)tuttiCommDestroy(comm);
  });
  check_failure(*board.get(), 1, tuttiInvalidUsage, {"rank 0 called Broadcast", "rank 1 has left without receiving"});
}

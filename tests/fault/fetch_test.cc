// fetch: ranks whose messages the kernel copies from process to process, when one dies or may not read any more.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <vector>

#include "tests/fault/board.h"

using namespace tutti::test;

namespace {

constexpr size_t kCount = 256 * 1024;  // floats for each peer

// From now on this process may not read another's memory.
void give_up_reading() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
  expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0,
         "the system call could not be forbidden");
}

// AlltoAlls until one fails. Right after it this rank's input is other than it was: whoever reads it then must not succeed.
void exchange_until_failure(Board& board, int rank, int ranks, tuttiComm_t comm) {
  std::vector<float> values(kCount * static_cast<size_t>(ranks)), got(values.size());
  for (int call = 0; board.slots[rank].result == tuttiSuccess; ++call) {
    const auto value_of = [&](size_t sender) { return static_cast<float>(call * ranks + static_cast<int>(sender)); };
    std::fill(values.begin(), values.end(), value_of(static_cast<size_t>(rank)));
    std::fill(got.begin(), got.end(), -1.0f);
    board.take(rank, tuttiAlltoAll(values.data(), got.data(), kCount, tuttiFloat, comm, nullptr));
    if (board.slots[rank].result != tuttiSuccess) break;
    for (size_t i = 0; i < got.size(); i += 127) expect(got[i] == value_of(i / kCount), "a wrong value arrived");
  }
  std::fill(values.begin(), values.end(), -2.0f);
}

World world_of(int ranks) {
  World world{.ranks = ranks};
  world.environment = {{"TUTTI_CMA", "on"}, {"TUTTI_CACHE", "1G"}};
  return world;
}

}  // namespace

TEST_CASE("a rank killed while others fetch from it is named by all within two seconds", "[fault]") {
  std::mt19937 random(test_seed());
  for (const auto& [ranks, victim] : {std::pair{2, 1}, {4, 2}, {4, 0}, {8, 5}}) {
    INFO(ranks << " ranks, rank " << victim << " is killed");
    const useconds_t delay_us = random() % 3000;
    SharedBoard board;
    run_with_faults(world_of(ranks), victim, [&, ranks = ranks, victim = victim](Rank& rank) {
      Board& all = *board.get();
      const tuttiComm_t comm = rank.join();
      if (rank.rank == victim)
        std::thread([&all, victim, delay_us] {
          while (all.slots[victim].calls < 3) sched_yield();
          usleep(delay_us);  // somewhere inside a call
          all.slots[victim].at_ns = tutti::now_ns();
          kill(getpid(), SIGKILL);
        }).detach();
      exchange_until_failure(all, rank.rank, ranks, comm);
      rank.check(tuttiCommDestroy(comm), "destroy");
    });
    for (int rank = 0; rank < ranks; ++rank) {
      if (rank == victim) continue;
      check_failure(*board.get(), rank, tuttiRemoteError, {"rank " + std::to_string(victim), "died"});
      CHECK(static_cast<double>(board->slots[rank].at_ns - board->slots[victim].at_ns) * 1e-9 < 2);
    }
  }
}

// It also shows that the kernel does copy, where it may.
TEST_CASE("a rank that may not read its peers' memory any more says so", "[fault]") {
  SharedBoard board;
  run_with_faults(world_of(2), -1, [&](Rank& rank) {
    Board& all = *board.get();
    const tuttiComm_t comm = rank.join();
    const bool may_read = may_read_others();
    if (may_read && rank.rank == 0) give_up_reading();
    if (may_read) exchange_until_failure(all, rank.rank, rank.ranks, comm);
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
  if (board->slots[0].result == tuttiSuccess && board->slots[0].calls == 0) {
    WARN("processes may not read one another's memory here: not tried");
    return;
  }
  for (int rank : {0, 1})
    check_failure(*board.get(), rank, tuttiSystemError, {"rank 0, AlltoAll", "peer rank 1", "cannot read", "TUTTI_CMA=off"});
}

// hosts: ranks on two hosts (network namespaces) when a rank is killed, or the wire between the hosts is cut. Needs root; exit code
// 77 (skipped) without.
#include <sys/socket.h>
#include <sys/stat.h>

#include <iostream>

#include "tests/catch.h"
#include "tests/fault/board.h"
#include "tests/harness/hosts.h"

using namespace tutti::test;

namespace {

std::unique_ptr<Hosts> hosts;

// AllReduces until one fails.
void reduce_until_failure(Board& board, int rank, tuttiComm_t comm) {
  std::vector<float> values(100'000, 1.0f), sums(values.size());
  while (board.slots[rank].result == tuttiSuccess)
    board.take(rank, tuttiAllReduce(values.data(), sums.data(), values.size(), tuttiFloat, tuttiSum, comm, nullptr));
}

bool contains(const Board& board, int rank, const std::string& word) {
  return std::string(board.slots[rank].text).find(word) != std::string::npos;
}

std::set<int> sockets() {
  std::set<int> found;
  DIR* const open = opendir("/proc/self/fd");
  while (const dirent* entry = readdir(open)) {
    const int fd = std::atoi(entry->d_name);
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode)) found.insert(fd);
  }
  closedir(open);
  return found;
}

// Makes connections both ways, and returns this rank's ends of them.
std::set<int> connect_both_ways(Rank& rank, tuttiComm_t comm) {
  const std::set<int> before = sockets();
  float value = 1;
  for (int call = 0; call < 3; ++call)
    rank.check(tuttiAllReduce(&value, &value, 1, tuttiFloat, tuttiSum, comm, nullptr), "first calls");
  std::set<int> made = sockets();
  for (const int fd : before) made.erase(fd);
  return made;
}

// Seconds in which a busy machine does what takes a fraction of one; a hang would last until its deadline of ten minutes.
constexpr double kSoon = 15;

}  // namespace

TEST_CASE("a rank killed on another host is named by all others", "[fault]") {
  const int victim = GENERATE(0, 3);
  SharedBoard board;
  World world{.ranks = 4};
  world.hosts = hosts.get();
  run_with_faults(world, victim, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    if (rank.rank == victim) {
      std::thread([&] {
        while (board->slots[victim].calls < 10) sched_yield();
        board->slots[victim].at_ns = tutti::now_ns();
        kill(getpid(), SIGKILL);
      }).detach();
    }
    reduce_until_failure(*board.get(), rank.rank, comm);
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
  for (int rank = 0; rank < 4; ++rank) {
    if (rank == victim) continue;
    check_failure(*board.get(), rank, tuttiRemoteError, {"rank " + std::to_string(victim), "died"});
    CHECK(static_cast<double>(board->slots[rank].at_ns - board->slots[victim].at_ns) * 1e-9 < kSoon);
  }
}

// Rank 0 has sent all and leaves, but the wire is slow; and what rank 1 sends in the meantime would meet a closed connection.
TEST_CASE("what a rank sends before it leaves arrives", "[fault]") {
  constexpr size_t kBytes = 60'000;
  REQUIRE(hosts->limit("10mbit"));
  World world{.ranks = 2};
  world.hosts = hosts.get();
  run_with_faults(world, -1, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    std::vector<char> out(kBytes, 'x'), in(kBytes);
    const int peer = 1 - rank.rank;
    const auto stream = [&](int messages) {
      for (int message = 0; message < messages; ++message) {
        if (rank.rank == 0) rank.check(tuttiSend(out.data(), kBytes, tuttiChar, peer, comm, nullptr), "send");
        if (rank.rank == 1) rank.check(tuttiRecv(in.data(), kBytes, tuttiChar, peer, comm, nullptr), "receive");
      }
    };
    rank.check(tuttiGroupStart(), "group");
    stream(8);
    std::vector<char> other(kBytes, 'y');
    if (rank.rank == 0) rank.check(tuttiRecv(other.data(), kBytes, tuttiChar, peer, comm, nullptr), "receive");
    if (rank.rank == 1) rank.check(tuttiSend(other.data(), kBytes, tuttiChar, peer, comm, nullptr), "send");
    rank.check(tuttiGroupEnd(), "exchange");
    stream(4);
    if (rank.rank == 1) expect(in == out, "what came is not what was sent");
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
  CHECK(hosts->limit(nullptr));
}

// Rank 1 is asleep; the control plane is well. The message is longer than the window, so that its sender waits for credits.
TEST_CASE("a sender learns of a connection that breaks", "[fault]") {
  SharedBoard board;
  World world{.ranks = 2};
  world.hosts = hosts.get();
  run_with_faults(world, -1, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    const std::set<int> made = connect_both_ways(rank, comm);
    std::vector<char> data(64 << 20);
    if (rank.rank == 0) {
      expect(!made.empty(), "no connection was made");
      const double begin = now_s();
      std::thread breaker([&] {
        usleep(200'000);
        for (const int fd : made) shutdown(fd, SHUT_RDWR);
      });
      board->take(0, tuttiSend(data.data(), data.size(), tuttiChar, 1, comm, nullptr));
      expect(now_s() - begin < kSoon, "the sender was not told in time");
      breaker.join();
    } else {
      wait_until([&] { return board->slots[0].result != tuttiSuccess; }, 2 * kSoon, "rank 0's failure");
      board->take(1, tuttiRecv(data.data(), data.size(), tuttiChar, 0, comm, nullptr));
    }
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
  check_failure(*board.get(), 0, tuttiRemoteError, {"rank 1", "the connection over eth0 broke"});
  check_failure(*board.get(), 1, tuttiRemoteError, {"rank"});
}

TEST_CASE("UCX's own settings break no message", "[fault]") {
  World world{.ranks = 2};
  world.hosts = hosts.get();
  world.environment = GENERATE(std::vector<std::pair<std::string, std::string>>{{"UCX_RNDV_THRESH", "0"}},
                               std::vector<std::pair<std::string, std::string>>{{"UCX_TCP_RX_SEG_SIZE", "16k"}},
                               std::vector<std::pair<std::string, std::string>>{{"UCX_TX_SEG_SIZE", "256k"}});
  run_with_faults(world, -1, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    for (const size_t count : {1u, 1000u, 300'000u}) {
      std::vector<float> values(count, 1.0f), sums(count);
      rank.check(tuttiAllReduce(values.data(), sums.data(), count, tuttiFloat, tuttiSum, comm, nullptr), "sum");
      expect(sums == std::vector<float>(count, 2.0f), "a sum is wrong");
    }
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
}

// By the deadline of the call, or, where that is far, when the control connections have been silent for too long.
TEST_CASE("a cut wire is an error on both sides of it", "[fault]") {
  const bool patient = GENERATE(false, true);
  SharedBoard board;
  std::atomic<int64_t>& cut_at_ns = board->slots[kMostRanks - 1].at_ns;
  World world{.ranks = 4};
  world.hosts = hosts.get();
  world.environment = {{"TUTTI_TIMEOUT", patient ? "60" : "1"}};
  run_with_faults(world, -1, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    std::thread cutter;
    if (rank.rank == 0) {
      cutter = std::thread([&] {
        while (board->slots[0].calls < 10 && board->slots[0].result == tuttiSuccess) sched_yield();
        cut_at_ns = tutti::now_ns();
        expect(hosts->cut(true), "the wire could not be cut");
      });
    }
    reduce_until_failure(*board.get(), rank.rank, comm);
    const double begin = now_s();
    rank.check(tuttiCommDestroy(comm), "destroy");
    expect(now_s() - begin < 5, "destroy took more than 5 s");
    if (rank.rank == 0) cutter.join();
  });
  CHECK(hosts->cut(false));
  // Even ranks are on the host of rank 0, which decides who is to blame; the others do not hear it.
  for (int rank = 0; rank < 4; ++rank) {
    check_failure(*board.get(), rank, tuttiRemoteError, {"rank"});
    INFO("rank " << rank << ": " << board->slots[rank].text);
    CHECK((rank % 2 ? contains(*board.get(), rank, "rank 0") || contains(*board.get(), rank, "rank 2")
                    : contains(*board.get(), rank, "rank 1") || contains(*board.get(), rank, "rank 3")));
    CHECK(contains(*board.get(), rank, "cannot be reached") == patient);
    CHECK(static_cast<double>(board->slots[rank].at_ns - cut_at_ns) * 1e-9 < (patient ? 10 : 1 + 3) + kSoon);  // 3: for an answer
  }
}

int main(int argc, char** argv) {
  std::string why_not;
  hosts = Hosts::make(1, why_not);
  if (!hosts) {
    std::cout << "skipped: " << why_not << std::endl;
    return 77;
  }
  return run_catch(argc, argv);
}

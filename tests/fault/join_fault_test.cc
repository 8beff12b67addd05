// join_fault: start-up that goes wrong: ranks that do not come, die, give up, have the wrong id or the wrong secret, and
// strangers at the door. Those who wait are told whom they waited for; those who belong together come together all the same.
#include <arpa/inet.h>
#include <sys/socket.h>

#include <fstream>

#include "tests/fault/board.h"

using namespace tutti::test;

namespace {

// A port that was free a moment ago.
int free_port() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  close(listener);
  return ntohs(address.sin_port);
}

std::string comm_id(int port, const std::string& secret) {
  return "127.0.0.1:" + std::to_string(port) + "#" + secret;
}

// The ports on which this process listens.
std::vector<int> listening_ports() {
  std::set<std::string> own;
  for (int fd = 0; fd < 256; ++fd) {
    char target[64];
    const ssize_t length = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof target);
    const std::string text(target, length > 0 ? static_cast<size_t>(length) : 0);
    if (text.rfind("socket:[", 0) == 0) own.insert(text.substr(8, text.size() - 9));
  }
  std::vector<int> ports;
  std::ifstream table("/proc/self/net/tcp");
  std::string line;
  std::getline(table, line);
  while (std::getline(table, line)) {
    std::istringstream words(line);
    std::string number, local, remote, state, skip, inode;
    words >> number >> local >> remote >> state >> skip >> skip >> skip >> skip >> skip >> inode;
    if (state == "0A" && own.count(inode)) ports.push_back(std::stoi(local.substr(local.find(':') + 1), nullptr, 16));
  }
  return ports;
}

int knock(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

void check_sum(Rank& rank, tuttiComm_t comm) {
  int value = rank.rank, sum = -1;
  rank.check(tuttiAllReduce(&value, &sum, 1, tuttiInt, tuttiSum, comm, nullptr), "AllReduce");
  expect(sum == rank.ranks * (rank.ranks - 1) / 2, "a wrong sum");
}

}  // namespace

TEST_CASE("a rank that never comes is named when TUTTI_INIT_TIMEOUT is over", "[fault]") {
  const int absent = GENERATE(2, 0);
  INFO("rank " << absent << " does not come");
  SharedBoard board;
  World world{.ranks = 4};
  world.environment = {{"TUTTI_INIT_TIMEOUT", "1"}};
  run_with_faults(world, -1, [&](Rank& rank) {
    const tuttiUniqueId id = rank.id(0, 1);
    if (rank.rank == absent) return;
    tuttiComm_t comm = nullptr;
    const double begin = now_s();
    board->take(rank.rank, tuttiCommInitRank(&comm, 4, id, rank.rank));
    expect(now_s() - begin < 3, "the deadline of 1 s was passed by 2 s");
    expect(comm == nullptr, "a communicator came of it");
  });
  for (int rank = 0; rank < 4; ++rank)
    if (rank != absent)
      check_failure(*board.get(), rank, tuttiRemoteError, {"rank " + std::to_string(absent) + " of 4 did not join"});
}

TEST_CASE("a rank that dies while the others wait for the last one is named", "[fault]") {
  SharedBoard board;
  run_with_faults(
      {.ranks = 4}, 2,
      [&](Rank& rank) {
        const tuttiUniqueId id = rank.id(0, 1);
        if (rank.rank == 3) return;  // never comes
        tuttiComm_t comm = nullptr;
        if (rank.rank == 2)
          std::thread([&] {
            rank.wait_flag(0, 2);
            usleep(200'000);
            kill(getpid(), SIGKILL);
          }).detach();
        rank.raise_flag(0);
        const double begin = now_s();
        board->take(rank.rank, tuttiCommInitRank(&comm, 4, id, rank.rank));
        expect(now_s() - begin < 3, "it took more than 3 s");
        rank.raise_flag(3);
        rank.wait_flag(3, 2);  // the rendezvous is in one of these processes: it must not go before the other has heard
      },
      Ends::Lingering);
  for (int rank : {0, 1}) check_failure(*board.get(), rank, tuttiRemoteError, {"rank 2", "died"});
}

TEST_CASE("abort ends a non-blocking init, and the others hear of it", "[fault]") {
  const int aborter = GENERATE(1, 0);
  SharedBoard board;
  run_with_faults(
      {.ranks = 3}, -1,
      [&](Rank& rank) {
        const tuttiUniqueId id = rank.id(0, 1);
        if (rank.rank == 2) return;  // so that nobody gets through
        tuttiConfig_t config = TUTTI_CONFIG_INITIALIZER;
        config.blocking = 0;
        tuttiComm_t comm = nullptr;
        rank.check(tuttiCommInitRankConfig(&comm, 3, id, rank.rank, &config), "init", tuttiInProgress);
        tuttiResult_t state = tuttiSuccess;
        rank.check(tuttiCommGetAsyncError(comm, &state), "GetAsyncError");
        expect(state == tuttiInProgress, "init is not under way");
        int value = 1, sum = 0;
        rank.check(tuttiAllReduce(&value, &sum, 1, tuttiInt, tuttiSum, comm, nullptr), "a call too early", tuttiInvalidUsage);
        rank.check(tuttiCommFinalize(comm), "finalize too early", tuttiInvalidUsage);
        if (rank.rank == aborter) {
          rank.wait_flag(0, 1);
          usleep(100'000);  // the other one has arrived
          const double begin = now_s();
          rank.check(tuttiCommAbort(comm), "abort");
          expect(now_s() - begin < 1, "abort did not return promptly");
          rank.wait_flag(2, 1);  // the rendezvous may be in this process: the other one has heard
          return;
        }
        rank.raise_flag(0);
        wait_until([&] { return tuttiCommGetAsyncError(comm, &state) == tuttiSuccess && state != tuttiInProgress; }, 5,
                   "the end of init");
        rank.raise_flag(2);
        std::strncpy(board->slots[rank.rank].text, tuttiGetLastError(comm), sizeof board->slots[rank.rank].text - 1);
        board->slots[rank.rank].result = state;
        rank.check(tuttiCommDestroy(comm), "destroy");
      },
      Ends::Lingering);
  check_failure(*board.get(), 1 - aborter, tuttiRemoteError, {"rank " + std::to_string(aborter)});
}

TEST_CASE("non-blocking init comes to a working communicator", "[fault]") {
  run_with_faults({.ranks = 3}, -1, [&](Rank& rank) {
    tuttiConfig_t config = TUTTI_CONFIG_INITIALIZER;
    config.blocking = 0;
    config.commName = "background";
    tuttiComm_t comm = nullptr;
    rank.check(tuttiCommInitRankConfig(&comm, 3, rank.id(), rank.rank, &config), "init", tuttiInProgress);
    tuttiResult_t state = tuttiInProgress;
    wait_until([&] { return tuttiCommGetAsyncError(comm, &state) == tuttiSuccess && state != tuttiInProgress; }, 10,
               "the end of init");
    rank.check(state, "the state");
    check_sum(rank, comm);
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
}

TEST_CASE("the id of another communicator, a rank given twice, another nranks", "[fault]") {
  SharedBoard board;
  World world{.ranks = 2};
  world.environment = {{"TUTTI_INIT_TIMEOUT", "1"}};
  SECTION("an id that nobody else uses") {
    run_with_faults(
        world, -1,
        [&](Rank& rank) {
          tuttiComm_t comm = nullptr;
          const tuttiUniqueId mine = rank.id(rank.rank, rank.rank), other = rank.id(1 - rank.rank, 1 - rank.rank);
          (void)other;
          board->take(rank.rank, tuttiCommInitRank(&comm, 2, mine, rank.rank));
        },
        Ends::Lingering);
    for (int rank : {0, 1})
      check_failure(*board.get(), rank, tuttiRemoteError, {"rank " + std::to_string(1 - rank) + " of 2 did not join"});
  }
  SECTION("an id whose communicator is complete") {
    run_with_faults(world, -1, [&](Rank& rank) {
      const tuttiComm_t comm = rank.join();
      rank.meet(0);
      tuttiComm_t again = nullptr;
      board->take(rank.rank, tuttiCommInitRank(&again, 2, rank.id(), rank.rank));
      expect(again == nullptr, "a communicator came of it");
      check_sum(rank, comm);  // the complete one does not mind
      rank.check(tuttiCommDestroy(comm), "destroy");
    });
    for (int rank : {0, 1}) check_failure(*board.get(), rank, tuttiRemoteError, {"nobody is at the rendezvous"});
  }
  SECTION("a rank given twice") {
    run_with_faults(
        world, -1,
        [&](Rank& rank) {
          tuttiComm_t comm = nullptr;
          board->take(rank.rank, tuttiCommInitRank(&comm, 3, rank.id(), 1));
          rank.meet(0);  // the rendezvous may be in this process: the other one has heard
        },
        Ends::Lingering);
    for (int rank : {0, 1}) check_failure(*board.get(), rank, tuttiInvalidUsage, {"rank 1 was given twice"});
  }
  SECTION("another nranks") {
    run_with_faults(world, -1, [&](Rank& rank) {
      tuttiComm_t comm = nullptr;
      board->take(rank.rank, tuttiCommInitRank(&comm, 2 + rank.rank, rank.id(), rank.rank));
      rank.meet(0);
    });
    for (int rank : {0, 1}) check_failure(*board.get(), rank, tuttiInvalidUsage, {"disagree about their number"});
  }
}

TEST_CASE("the wrong secret does not get in, and says so", "[fault]") {
  const int port = free_port();
  SharedBoard board;
  World world{.ranks = 3};
  world.environment = {{"TUTTI_INIT_TIMEOUT", "2"}};
  run_with_faults(world, -1, [&](Rank& rank) {
    setenv("TUTTI_COMM_ID", comm_id(port, rank.rank == 2 ? "guess" : "swordfish").c_str(), 1);
    tuttiUniqueId id;
    rank.check(tuttiGetUniqueId(&id), "GetUniqueId");
    tuttiComm_t comm = nullptr;
    const double begin = now_s();
    board->take(rank.rank, tuttiCommInitRank(&comm, 3, id, rank.rank));
    expect(now_s() - begin < 4.5, "the deadline of 2 s was passed by more than 2 s");
    expect(comm == nullptr, "a communicator came of it");
  });
  for (int rank : {0, 1}) check_failure(*board.get(), rank, tuttiRemoteError, {"rank 2 of 3 did not join"});
  check_failure(*board.get(), 2, tuttiRemoteError, {"secret"});
  CHECK_THAT(std::string(board->slots[2].text), !Catch::Contains("guess"));
}

TEST_CASE("strangers at the rendezvous do not keep ranks from joining", "[fault]") {
  const unsigned seed = test_seed();
  const bool by_port = GENERATE(false, true);  // known from TUTTI_COMM_ID, or found as an intruder on the host would
  const int port = free_port();
  run_with_faults({.ranks = 4}, -1, [&](Rank& rank) {
    if (!by_port) setenv("TUTTI_COMM_ID", comm_id(port, "swordfish").c_str(), 1);
    const tuttiUniqueId id = rank.id(0, 0);
    std::atomic<bool> over{false};
    std::thread strangers;
    if (rank.rank == 0) {
      strangers = std::thread([&] {
        std::mt19937 random(seed);
        std::vector<int> silent;
        while (!over) {
          for (int target : by_port ? listening_ports() : std::vector<int>{port}) {
            const int fd = knock(target);
            if (fd < 0) continue;
            if (random() % 3 == 0 && silent.size() < 100) {
              silent.push_back(fd);  // says nothing, and stays
              continue;
            }
            char garbage[300];
            for (char& byte : garbage) byte = static_cast<char>(random());
            const ssize_t sent = send(fd, garbage, 1 + random() % sizeof garbage, MSG_NOSIGNAL);
            (void)sent;
            close(fd);
          }
          usleep(200);
        }
        for (int fd : silent) close(fd);
      });
    }
    if (rank.rank == 3) usleep(300'000);  // so that the strangers have their time
    tuttiComm_t comm = nullptr;
    const tuttiResult_t joined = tuttiCommInitRank(&comm, 4, id, rank.rank);
    const std::string why = tuttiGetLastError(nullptr);
    over = true;
    if (strangers.joinable()) strangers.join();
    expect(joined == tuttiSuccess, "join: " + why);
    check_sum(rank, comm);
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
}

// process: what a program may do to itself while it uses the library. It may fork, change its user, close its standard files, have small
// stacks and low limits, and have the same pid as its parent.
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/fault/board.h"

using namespace tutti::test;

namespace {

int sum_of_ones(Rank& rank, tuttiComm_t comm, const char* what) {
  int one = 1, sum = 0;
  rank.check(tuttiAllReduce(&one, &sum, 1, tuttiInt, tuttiSum, comm, nullptr), what);
  return sum;
}

// A message to the other rank and one from it.
void exchange(Rank& rank, tuttiComm_t comm, size_t bytes) {
  std::vector<char> from(bytes, static_cast<char>(rank.rank + 1)), to(bytes);
  rank.check(tuttiGroupStart(), "group");
  rank.check(tuttiSend(from.data(), bytes, tuttiInt8, 1 - rank.rank, comm, nullptr), "send");
  rank.check(tuttiRecv(to.data(), bytes, tuttiInt8, 1 - rank.rank, comm, nullptr), "recv");
  rank.check(tuttiGroupEnd(), "send and receive");
  expect(std::all_of(to.begin(), to.end(), [&](char b) { return b == static_cast<char>(2 - rank.rank); }), "the message is wrong");
}

// Runs `body` in a child, for changes that cannot be undone. Returns its result. `body` must not throw.
template <typename Body>
int in_process(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// meson.build runs these tests a second time over UCX.
bool over_ucx() {
  const char* const transports = std::getenv("TUTTI_TRANSPORTS");
  return transports && std::strcmp(transports, "ucx") == 0;
}

// Runs `body` in a thread with a stack of so many bytes.
template <typename Body>
void on_stack(size_t bytes, Body body) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, bytes);
  pthread_t thread;
  const auto run = [](void* argument) -> void* {
    (*static_cast<Body*>(argument))();
    return nullptr;
  };
  if (pthread_create(&thread, &attributes, run, &body) != 0) throw Failure{"no thread"};
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

}  // namespace

TEST_CASE("a death is noticed though a forked child lives on", "[fault]") {
  const int victim = GENERATE(1, 0);
  INFO("rank " << victim << " dies");
  SharedBoard board;
  run_with_faults({.ranks = 3}, victim, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    sum_of_ones(rank, comm, "the first AllReduce");
    if (rank.rank == victim) {
      if (fork() == 0) {  // for example a worker of a data loader
        prctl(PR_SET_PDEATHSIG, 0);
        usleep(5'000'000);
        _exit(0);
      }
      usleep(100'000);
      board->slots[victim].at_ns = tutti::now_ns();
      kill(getpid(), SIGKILL);
    }
    int one = 1, sum = 0;
    board->take(rank.rank, tuttiAllReduce(&one, &sum, 1, tuttiInt, tuttiSum, comm, nullptr));
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
  for (int rank = 0; rank < 3; ++rank) {
    if (rank == victim) continue;
    check_failure(*board.get(), rank, tuttiRemoteError, {"rank " + std::to_string(victim), "died"});
    CHECK(board->slots[rank].at_ns - board->slots[victim].at_ns < 1'000'000'000);
  }
}

TEST_CASE("parent and child that have the same pid have memory of their own", "[fault]") {
  // The parent is pid 1 of a namespace. Its child is pid 1 of another.
  const int code = in_process([] {
    if (unshare(CLONE_NEWPID) != 0) return 77;
    return in_process([] {
      char* parents = nullptr;
      if (tuttiMemAlloc(reinterpret_cast<void**>(&parents), 1 << 20) != tuttiSuccess || unshare(CLONE_NEWPID) != 0) return 77;
      const int child = in_process([] {
        char* own = nullptr;
        if (getpid() != 1 || tuttiMemAlloc(reinterpret_cast<void**>(&own), 1 << 20) != tuttiSuccess) return 1;
        std::memset(own, 0x77, 1 << 20);
        return 0;
      });
      if (child != 0) return child;
      char* fresh = nullptr;
      if (getpid() != 1 || tuttiMemAlloc(reinterpret_cast<void**>(&fresh), 1 << 20) != tuttiSuccess) return 2;
      return std::any_of(fresh, fresh + (1 << 20), [](char b) { return b != 0; }) ? 3 : 0;
    });
  });
  if (code == 77) {
    WARN("not tried: no right to make pid namespaces");
    return;
  }
  CHECK(code == 0);
}

TEST_CASE("a rank may become another user, or undumpable, after init", "[fault]") {
  if (geteuid() != 0) {
    WARN("not tried: not root");
    return;
  }
  const Outcome outcome = run_ranks({.ranks = 2}, [&](Rank& rank) {
    const tuttiComm_t comm = rank.join();
    if (rank.rank == 1) expect(prctl(PR_SET_DUMPABLE, 0) == 0 && setuid(65534) == 0, "cannot become another user");
    for (const size_t bytes : {size_t{8}, size_t{3000}, size_t{8} << 20}) exchange(rank, comm, bytes);
    tuttiComm_t child = nullptr;  // the ranks connect again
    rank.check(tuttiCommSplit(comm, 0, rank.rank, &child, nullptr), "split");
    exchange(rank, child, 100'000);
    rank.check(tuttiCommDestroy(child), "destroy the child");
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
  INFO(outcome.text());
  CHECK(outcome.ok());
}

TEST_CASE("the library uses no descriptor number of a closed standard file", "[fault]") {
  const Outcome outcome = run_ranks({.ranks = 2}, [&](Rank& rank) {
    for (const int standard : {0, 1, 2}) close(standard);
    const tuttiComm_t comm = rank.join();
    sum_of_ones(rank, comm, "AllReduce");
    for (const int standard : {0, 1, 2}) {
      const ssize_t written = write(standard, "what a program prints\n", 22);
      expect(written < 0 && errno == EBADF, "standard file " + std::to_string(standard) + " is in use");
    }
    usleep(50'000);
    expect(sum_of_ones(rank, comm, "AllReduce after output") == 2, "a wrong sum");
    exchange(rank, comm, 1 << 20);
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
  INFO(outcome.text());
  CHECK(outcome.ok());
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they use more stack
TEST_CASE("64 KiB of stack are enough", "[fault]") {
  const Outcome outcome = run_ranks({.ranks = 2}, [&](Rank& rank) {
    const tuttiUniqueId id = rank.id();
    std::string failure;
    on_stack(64 << 10, [&] {
      try {
        tuttiComm_t comm = nullptr, child = nullptr;
        tuttiStream_t stream = nullptr;
        tuttiRedOp_t op;
        double factor = 0.5;
        rank.check(tuttiCommInitRank(&comm, 2, id, rank.rank), "init");
        rank.check(tuttiStreamCreate(&stream), "stream");
        rank.check(tuttiRedOpCreatePreMulSum(&op, &factor, tuttiDouble, tuttiScalarHostImmediate, comm), "op");
        for (const size_t count : {size_t{1}, size_t{1000}, size_t{1} << 18}) {
          std::vector<double> in(2 * count, 1), out(2 * count);
          for (const tuttiRedOp_t each : {tuttiSum, tuttiAvg, op})
            rank.check(tuttiAllReduce(in.data(), out.data(), count, tuttiDouble, each, comm, nullptr), "AllReduce");
          for (const tuttiDataType_t type : {tuttiFloat16, tuttiBfloat16, tuttiFloat8e4m3})
            rank.check(tuttiAllReduce(in.data(), out.data(), count, type, tuttiSum, comm, nullptr), "AllReduce");
          rank.check(tuttiReduceScatter(in.data(), out.data(), count, tuttiDouble, tuttiSum, comm, stream), "ReduceScatter");
          rank.check(tuttiAlltoAll(in.data(), out.data(), count, tuttiDouble, comm, stream), "AlltoAll");
          rank.check(tuttiStreamSynchronize(stream), "synchronize");
        }
        exchange(rank, comm, 1 << 20);
        rank.check(tuttiCommSplit(comm, 0, rank.rank, &child, nullptr), "split");
        rank.check(tuttiCommDestroy(child), "destroy the child");
        rank.check(tuttiAllReduce(nullptr, nullptr, 1, tuttiInt, tuttiSum, comm, nullptr), "a bad argument", tuttiInvalidArgument);
        rank.check(tuttiStreamDestroy(stream), "destroy the stream");
        rank.check(tuttiCommDestroy(comm), "destroy");
        tuttiComm_t both[2];
        rank.check(tuttiCommInitAll(both, 2, nullptr), "init all");
        for (const tuttiComm_t one : both) rank.check(tuttiCommAbort(one), "abort");
      } catch (const Failure& caught) {
        failure = caught.text;
      }
    });
    expect(failure.empty(), failure);
  });
  INFO(outcome.text());
  CHECK(outcome.ok());
}
#endif

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// Messages so long that shared memory for them needs more address space than rank 2 may use.
TEST_CASE("ranks reach one another pair by pair: one has no shared memory", "[fault]") {
  if (!over_ucx()) return;  // UCX may not be there
  const Outcome outcome = run_ranks({.ranks = 3}, [&](Rank& rank) {
    setenv("TUTTI_TRANSPORTS", "shm,ucx", 1);
    setenv("TUTTI_TILE", "16M", 1);
    const tuttiUniqueId id = rank.id();
    const rlimit low{rlim_t{4} << 30, rlim_t{4} << 30};
    if (rank.rank == 2) expect(setrlimit(RLIMIT_AS, &low) == 0, "setrlimit");
    tuttiComm_t comm = nullptr;
    rank.check(tuttiCommInitRank(&comm, 3, id, rank.rank), "init");
    std::ifstream maps("/proc/self/maps");
    int arenas = 0;
    for (std::string line; std::getline(maps, line);) arenas += line.find("tutti-arena") != std::string::npos;
    expect(rank.rank == 2 ? arenas == 0 : arenas >= 2, "ranks 0 and 1 share memory, and rank 2 does not");
    expect(sum_of_ones(rank, comm, "AllReduce") == 3, "a wrong sum");
    std::vector<int> all(3 << 18), mine(1 << 18, rank.rank);
    rank.check(tuttiAllGather(mine.data(), all.data(), mine.size(), tuttiInt, comm, nullptr), "AllGather");
    for (size_t i = 0; i < all.size(); ++i) expect(all[i] == static_cast<int>(i >> 18), "a wrong block");
    rank.check(tuttiCommDestroy(comm), "destroy");
  });
  INFO(outcome.text());
  CHECK(outcome.ok());
}
#endif

TEST_CASE("a low limit is an error that names the limit, never a signal", "[fault]") {
  struct Limit {
    int resource;
    rlim_t value;
    const char* words;
  };
  // A limit of file sizes, and one of the address space, which is too small for the memory of two ranks.
  for (const Limit& limit : {Limit{RLIMIT_FSIZE, 1 << 20, "ulimit -f"}, Limit{RLIMIT_AS, 0, "ulimit -v"}}) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    if (limit.resource == RLIMIT_AS) continue;  // sanitizers use all of the address space
#endif
    INFO(limit.words);
    SharedBoard board;
    const Outcome outcome = run_ranks({.ranks = 2}, [&](Rank& rank) {
      const tuttiUniqueId id = rank.id();
      rlimit low{limit.value, limit.value};
      if (limit.resource == RLIMIT_AS) {
        std::ifstream statm("/proc/self/statm");
        rlim_t pages = 0;
        statm >> pages;
        low.rlim_cur = low.rlim_max = pages * 4096 + (100 << 20);
      }
      expect(setrlimit(static_cast<__rlimit_resource_t>(limit.resource), &low) == 0, "setrlimit");
      tuttiComm_t comm = nullptr;
      const double begin = now_s();
      board->take(rank.rank, tuttiCommInitRank(&comm, 2, id, rank.rank));
      expect(now_s() - begin < 5, "it took more than 5 s");
      std::ifstream maps("/proc/self/maps");
      for (std::string line; !over_ucx() && std::getline(maps, line);) expect(line.find("libucp") == std::string::npos, "UCX was loaded");
    });
    INFO(outcome.text());
    CHECK(outcome.ok());
    if (over_ucx()) continue;  // UCX may need less
    for (int rank : {0, 1}) check_failure(*board.get(), rank, tuttiSystemError, {limit.words, "TUTTI_TRANSPORTS=ucx"});
  }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// UCX aborts the process if it cannot start its thread; the transport checks for that first.
TEST_CASE("with few resources a communicator works or fails with an error", "[fault]") {
  std::vector<std::pair<__rlimit_resource, rlim_t>> limits;  // how much more than is in use
  for (const rlim_t mib : {2, 8, 12, 16, 20, 24, 28, 32, 36, 40, 48, 64, 96}) limits.emplace_back(RLIMIT_AS, mib << 20);
  for (const rlim_t descriptors : {2, 8, 14, 20, 24, 26, 28, 30, 34, 40, 50}) limits.emplace_back(RLIMIT_NOFILE, descriptors);
  for (const auto& limit : limits) {
    INFO(limit.first << ": " << limit.second << " more");
    World world{.ranks = 2};
    world.environment = {{"TUTTI_INIT_TIMEOUT", "5"}};
    const Outcome outcome = run_ranks(world, [&](Rank& rank) {
      const tuttiUniqueId id = rank.id();
      std::ifstream statm("/proc/self/statm");
      rlim_t used = 0;
      statm >> used;
      used = limit.second + (limit.first == RLIMIT_AS ? used * 4096 : 3);
      const rlimit low{used, used};
      expect(setrlimit(limit.first, &low) == 0, "setrlimit");
      tuttiComm_t comm = nullptr;
      const tuttiResult_t result = tuttiCommInitRank(&comm, 2, id, rank.rank);
      if (result == tuttiSuccess) {
        int one = 1, sum = 0;
        (void)tuttiAllReduce(&one, &sum, 1, tuttiInt, tuttiSum, comm, nullptr);
        rank.check(tuttiCommDestroy(comm), "destroy");
      } else {
        expect(result == tuttiSystemError || result == tuttiRemoteError, "not an error of the system: " + std::to_string(result));
      }
    });
    INFO(outcome.text());
    CHECK(outcome.ok());
  }
}
#endif

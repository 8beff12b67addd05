// ranks: see ranks.h.
//
// One anonymous shared mapping per world carries ids, flags, notes, failures and records; futexes on it are the only waits
// of the ranks. The parent waits on pidfds, so no child is missed and none is polled for.
#include "tests/harness/ranks.h"

#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "tests/harness/hosts.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif
#if defined(__SANITIZE_THREAD__)
// Children leave by _exit(), which would forget that a race was reported.
static std::atomic<bool> race_reported{false};
extern "C" __attribute__((visibility("default"))) void __tsan_on_report(void*) { race_reported = true; }
#endif

namespace tutti::test {

constexpr int kMaxRanks = 64, kFlags = 64;
constexpr uint32_t kRecords = 65536;

struct Shared {
  std::atomic<uint32_t> flags[kFlags];
  std::atomic<uint32_t> id_made[Rank::kIds];
  tuttiUniqueId ids[Rank::kIds];
  struct Slot {
    std::atomic<uint32_t> ended;  // 1: finished, 2: failed
    char note[512];
    char failure[4096];
    std::atomic<uint32_t> records;
    uint64_t record[kRecords];
  } slots[kMaxRanks];
};

namespace {

using Clock = std::chrono::steady_clock;

template <size_t kSize>
void put(char (&to)[kSize], const std::string& text) {
  const size_t length = std::min(text.size(), kSize - 1);
  std::memcpy(to, text.data(), length);
  to[length] = '\0';
}

// Until word >= value. The parent's deadline bounds the wait.
void wait_for(const std::atomic<uint32_t>& word, uint32_t value) {
  for (uint32_t seen = word.load(); seen < value; seen = word.load())
    syscall(SYS_futex, &word, FUTEX_WAIT, seen, nullptr, nullptr, 0);
}

void wake_all(const std::atomic<uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void run_one(Shared& shared, const World& world, int rank, const std::function<void(Rank&)>& body) {
  Shared::Slot& slot = shared.slots[rank];
  try {
    Rank self(shared, rank, world.ranks);
    body(self);
    slot.ended = 1;
  } catch (const Failure& failure) {
    put(slot.failure, failure.text);
    slot.ended = 2;
  } catch (const std::exception& error) {
    put(slot.failure, std::string("exception: ") + error.what());
    slot.ended = 2;
  }
}

// The ranks [first, last) of one process. The exit code: 0, or 1 if any failed.
int run_process(Shared& shared, const World& world, int first, int last, const std::function<void(Rank&)>& body) {
  if (last - first == 1) {
    run_one(shared, world, first, body);
  } else {
    std::vector<std::thread> threads;
    for (int rank = first; rank < last; ++rank) threads.emplace_back([&, rank] { run_one(shared, world, rank, body); });
    for (std::thread& thread : threads) thread.join();
  }
  int code = 0;
  for (int rank = first; rank < last; ++rank)
    if (shared.slots[rank].ended != 1) code = 1;
#if defined(__SANITIZE_ADDRESS__)
  if (code == 0 && __lsan_do_recoverable_leak_check() != 0) code = 3;
#endif
#if defined(__SANITIZE_THREAD__)
  if (code == 0 && race_reported) code = 4;
#endif
  return code;
}

struct Child {
  pid_t pid = -1;
  int pidfd = -1, first = 0, last = 0;
  int status = 0;
  bool ended = false;
};

[[noreturn]] void die(const char* what) {
  throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

Child start(Shared& shared, const World& world, int first, int last, const std::function<void(Rank&)>& body) {
  Child child;
  child.first = first;
  child.last = last;
  const pid_t parent = getpid();
  child.pid = fork();
  if (child.pid < 0) die("fork");
  if (child.pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(9);
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    // What Catch2 does about signals is for the parent.
    for (int number : {SIGABRT, SIGSEGV, SIGFPE, SIGILL, SIGTERM, SIGINT, SIGBUS}) signal(number, SIG_DFL);
    if (world.hosts && !world.hosts->enter(first / world.threads % world.hosts->number())) _exit(9);
    for (const auto& [name, value] : world.environment) setenv(name.c_str(), value.c_str(), 1);
    const int code = run_process(shared, world, first, last, body);
    std::fflush(nullptr);
    _exit(code);
  }
  child.pidfd = static_cast<int>(syscall(SYS_pidfd_open, child.pid, 0));
  if (child.pidfd < 0) die("pidfd_open");
  return child;
}

void wait_children(Shared& shared, const World& world, std::vector<Child>& children) {
  const auto begin = Clock::now();
  const auto seconds = [](double s) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
  };
  auto deadline = begin + seconds(world.deadline_s);
  bool shortened = false;
  for (;;) {
    std::vector<pollfd> polls;
    for (const Child& child : children)
      if (!child.ended) polls.push_back({child.pidfd, POLLIN, 0});
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (polls.empty() || left <= 0) return;
    // A thread's failure shows in its slot, not in a process's end: look now and then.
    poll(polls.data(), polls.size(), static_cast<int>(std::min<long>(left, 200)));
    for (Child& child : children) {
      if (child.ended || waitpid(child.pid, &child.status, WNOHANG) != child.pid) continue;
      child.ended = true;
    }
    for (int rank = 0; !shortened && rank < world.ranks; ++rank) {
      if (shared.slots[rank].ended != 2) continue;
      shortened = true;
      deadline = std::min(deadline, Clock::now() + seconds(world.grace_s));
    }
  }
}

RankOutcome collect(const Shared::Slot& slot, const Child& child) {
  RankOutcome outcome;
  outcome.note.assign(slot.note, strnlen(slot.note, sizeof slot.note));
  outcome.failure.assign(slot.failure, strnlen(slot.failure, sizeof slot.failure));
  outcome.records.assign(slot.record, slot.record + std::min(slot.records.load(), kRecords));
  if (slot.ended == 2) {
    outcome.end = RankOutcome::End::Failed;
    outcome.code = 1;
  } else if (!child.ended) {
    outcome.end = slot.ended == 1 ? RankOutcome::End::Finished : RankOutcome::End::Hung;
  } else if (WIFSIGNALED(child.status)) {
    outcome.end = RankOutcome::End::Signal;
    outcome.code = WTERMSIG(child.status);
  } else if (slot.ended == 1 && (WEXITSTATUS(child.status) == 0 || WEXITSTATUS(child.status) == 1)) {
    outcome.end = RankOutcome::End::Finished;  // 1: another thread of the process failed
  } else {
    outcome.end = RankOutcome::End::Exit;
    outcome.code = WEXITSTATUS(child.status);
  }
  return outcome;
}

struct Unmap {
  void operator()(Shared* shared) const { munmap(shared, sizeof(Shared)); }
};

}  // namespace

void expect(bool condition, const std::string& text) {
  if (!condition) throw Failure{text};
}

tuttiUniqueId Rank::id(int slot, int maker) {
  expect(slot >= 0 && slot < kIds, "no such id slot");
  if (rank == maker && shared_.id_made[slot] == 0) {
    check(tuttiGetUniqueId(&shared_.ids[slot]), "tuttiGetUniqueId");
    shared_.id_made[slot] = 1;
    wake_all(shared_.id_made[slot]);
  }
  wait_for(shared_.id_made[slot], 1);
  return shared_.ids[slot];
}

tuttiComm_t Rank::join(int slot) {
  tuttiComm_t comm = nullptr;
  check(tuttiCommInitRank(&comm, ranks, id(slot), rank), "tuttiCommInitRank");
  return comm;
}

void Rank::check(tuttiResult_t result, const std::string& what, tuttiResult_t wanted) const {
  if (result == wanted) return;
  throw Failure{what + " returned \"" + tuttiGetErrorString(result) + "\" instead of \"" + tuttiGetErrorString(wanted) +
                "\": " + tuttiGetLastError(nullptr), result};
}

void Rank::note(const std::string& text) {
  put(shared_.slots[rank].note, text);
}

void Rank::record(uint64_t value) {
  Shared::Slot& slot = shared_.slots[rank];
  const uint32_t index = slot.records.fetch_add(1);
  expect(index < kRecords, "too many records");
  slot.record[index] = value;
}

void Rank::raise_flag(int flag, uint32_t by) {
  shared_.flags[flag].fetch_add(by);
  wake_all(shared_.flags[flag]);
}

void Rank::wait_flag(int flag, uint32_t value) const {
  wait_for(shared_.flags[flag], value);
}

uint32_t Rank::flag(int flag) const {
  return shared_.flags[flag].load();
}

bool Outcome::ok() const {
  return std::all_of(ranks.begin(), ranks.end(), [](const RankOutcome& r) { return r.end == RankOutcome::End::Finished; });
}

std::string Outcome::text() const {
  std::ostringstream out;
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    const RankOutcome& r = ranks[rank];
    if (r.end == RankOutcome::End::Finished) continue;
    out << "rank " << rank << ' ';
    switch (r.end) {
      case RankOutcome::End::Failed: out << "failed: " << r.failure; break;
      case RankOutcome::End::Signal: out << "died of signal " << r.code << " (" << strsignal(r.code) << ')'; break;
      case RankOutcome::End::Exit: out << "exited with code " << r.code << (r.code == 3 ? " (leaks)" : r.code == 4 ? " (races)" : ""); break;
      default: out << "hung and was killed after " << seconds << " s"; break;
    }
    if (!r.note.empty()) out << "\n    in: " << r.note;
    out << '\n';
  }
  return out.str();
}

Outcome run_ranks(const World& world, const std::function<void(Rank&)>& body) {
  if (world.ranks < 1 || world.ranks > kMaxRanks || world.threads < 1) throw std::invalid_argument("run_ranks: bad world");
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) die("mmap");
  const std::unique_ptr<Shared, Unmap> shared(static_cast<Shared*>(memory));  // zero bytes are its first state

  std::fflush(nullptr);  // or the children would print it again
  const auto begin = Clock::now();
  std::vector<Child> children;
  for (int first = 0; first < world.ranks; first += world.threads)
    children.push_back(start(*shared, world, first, std::min(first + world.threads, world.ranks), body));
  wait_children(*shared, world, children);

  Outcome outcome;
  outcome.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  for (Child& child : children) {
    if (!child.ended) {
      kill(child.pid, SIGKILL);
      waitpid(child.pid, &child.status, 0);
    }
    close(child.pidfd);
    for (int rank = child.first; rank < child.last; ++rank) outcome.ranks.push_back(collect(shared->slots[rank], child));
  }
  return outcome;
}

}  // namespace tutti::test

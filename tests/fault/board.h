// board: what the fault tests share: memory in which ranks tell each other (and the test) what happened when, and a count of
// what a process holds, so that a communicator's end can be seen to leave nothing behind.
//
// The board is mapped before the ranks are forked. Each slot is written by its rank alone; atomics carry it across.
#pragma once
#include <dirent.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <thread>

#include "lib/base/clock.h"
#include "tests/catch.h"
#include "tests/harness/ranks.h"

namespace tutti::test {

inline double now_s() {
  return static_cast<double>(now_ns()) * 1e-9;
}

// Looks until `done`, or throws after `seconds`: every wait of these tests has an end and a name.
inline void wait_until(const std::function<bool()>& done, double seconds, const std::string& what) {
  const Deadline deadline = Deadline::after_s(seconds);
  while (!done()) {
    if (deadline.passed()) throw Failure{what + " did not happen within " + std::to_string(seconds) + " s"};
    usleep(500);
  }
}

constexpr int kMostRanks = 16;

// How one rank's calls ended.
struct BoardSlot {
  std::atomic<int> pid, result;  // result: of the first call that failed
  std::atomic<int64_t> calls;    // that succeeded
  std::atomic<int64_t> at_ns;    // when the first one failed, or when this rank was made to die
  char text[4096];
};

struct Board {
  BoardSlot slots[kMostRanks];
  // Remembers the first failure.
  void take(int rank, tuttiResult_t result) {
    BoardSlot& slot = slots[rank];
    if (result == tuttiSuccess) {
      ++slot.calls;
    } else if (slot.result == tuttiSuccess) {
      std::strncpy(slot.text, tuttiGetLastError(nullptr), sizeof slot.text - 1);
      slot.at_ns = now_ns();
      slot.result = result;
    }
  }
};

class SharedBoard {
 public:
  SharedBoard()
      : board_(
            static_cast<Board*>(mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    REQUIRE(board_ != MAP_FAILED);
  }
  ~SharedBoard() { munmap(board_, sizeof(Board)); }
  SharedBoard(const SharedBoard&) = delete;
  SharedBoard& operator=(const SharedBoard&) = delete;
  Board* get() const { return board_; }
  Board* operator->() const { return board_; }

 private:
  Board* const board_;
};

// What a process holds.
struct Holdings {
  int descriptors = 0, threads = 0, arenas = 0;

  static Holdings now() {
    Holdings holdings;
    void* memory = nullptr;  // makes the heap, which a process keeps once it has it
    if (tuttiMemAlloc(&memory, 1) != tuttiSuccess || tuttiMemFree(memory) != tuttiSuccess) throw Failure{"no memory"};
    holdings.descriptors = entries("/proc/self/fd");
    holdings.threads = entries("/proc/self/task");
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) holdings.arenas += line.find("memfd:tutti") != std::string::npos;
    return holdings;
  }
  std::string text() const {
    return std::to_string(descriptors) + " descriptors, " + std::to_string(threads) + " threads, " + std::to_string(arenas) +
           " arenas";
  }
  bool within(const Holdings& other) const {
    return descriptors <= other.descriptors && threads <= other.threads && arenas <= other.arenas;
  }
  // Throws unless this process soon holds no more than this. A rendezvous that failed lingers for ten seconds, so that ranks
  // that come late hear why.
  void expect_again(double seconds = 12) const {
    const Deadline deadline = Deadline::after_s(seconds);
    while (!now().within(*this)) {
      if (deadline.passed()) throw Failure{"left behind: " + now().text() + "; before: " + text()};
      usleep(1000);
    }
  }

 private:
  static int entries(const char* directory) {
    int count = 0;
    DIR* const open = opendir(directory);
    while (readdir(open)) ++count;
    closedir(open);
    return count;
  }
};

// Names with "tutti" in them where files could be left behind.
inline std::set<std::string> files_left() {
  std::set<std::string> names;
  for (const char* directory : {"/dev/shm", "/tmp", "/var/tmp"}) {
    DIR* const open = opendir(directory);
    if (!open) continue;
    while (const dirent* entry = readdir(open))
      if (std::strstr(entry->d_name, "tutti-arena") || std::strstr(entry->d_name, "tutti_arena") ||
          std::strncmp(entry->d_name, "tutti.", 6) == 0)
        names.insert(std::string(directory) + "/" + entry->d_name);
    closedir(open);
  }
  return names;
}

// Runs the ranks with what every fault test wants around it: a survivor's process ends as empty as it began, and nothing is
// left in the file system. `victim`: the rank that dies of SIGKILL or exits at once (-1: none); all others must finish.
// Lingering: a failed rendezvous in one of the processes may still wait for late ranks, to tell them why.
enum class Ends { Clean, Lingering };
inline Outcome run_with_faults(const World& world, int victim, const std::function<void(Rank&)>& body,
                               Ends ends = Ends::Clean) {
  const std::set<std::string> before = files_left();
  Outcome outcome = run_ranks(world, [&](Rank& rank) {
    // A thread sanitizer starts a thread of its own with the first one: before things are counted.
    std::thread([] {}).join();
    const Holdings at_first = Holdings::now();
    body(rank);
    if (ends == Ends::Clean) at_first.expect_again();
  });
  INFO(outcome.text());
  for (int rank = 0; rank < world.ranks; ++rank) {
    INFO("rank " << rank);
    const RankOutcome& one = outcome.ranks[static_cast<size_t>(rank)];
    if (rank == victim) {
      const bool killed = one.end == RankOutcome::End::Signal && one.code == SIGKILL;
      CHECK((killed || (one.end == RankOutcome::End::Exit && one.code == 0)));
    } else {
      CHECK(one.end == RankOutcome::End::Finished);
    }
  }
  CHECK(files_left() == before);
  return outcome;
}

// The rank's first failure is `result` and its sentence has all the words.
inline void check_failure(const Board& board, int rank, tuttiResult_t result, std::initializer_list<std::string> words) {
  const BoardSlot& slot = board.slots[rank];
  INFO("rank " << rank << " failed after " << slot.calls << " calls with: " << slot.text);
  CHECK(slot.result == result);
  for (const std::string& word : words) CHECK_THAT(std::string(slot.text), Catch::Contains(word));
}

// The seed of a random test, printed; FAULT_SEED repeats a run.
inline unsigned test_seed() {
  const char* given = std::getenv("FAULT_SEED");
  const unsigned seed = given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device()();
  WARN("seed " << seed << " (repeat with FAULT_SEED)");
  return seed;
}

}  // namespace tutti::test

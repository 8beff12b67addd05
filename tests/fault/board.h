// board: what the fault tests share: memory in which ranks write down what happened and when, for each other and for the test.
//
// The board is mapped before the ranks are forked. Each slot is written by its rank alone; atomics carry it across.
#pragma once
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
#include "tests/fault/holdings.h"
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

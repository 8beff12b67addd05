// succession_test: what becomes of the others when rank 0 or another inner rank of the tree leaves or dies.
#include <dirent.h>
#include <sys/ptrace.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "tests/boot/ranks.h"
#include "tests/catch.h"

using namespace tutti;
using namespace tutti::test;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void note(Board::Row& row, const Status& status) {
  std::strncpy(row.text, status.text().c_str(), sizeof row.text - 1);
  row.code = static_cast<int>(status.code());
  row.at_ns = now_ns();
}

// Joins; then `stage` decides what the ranks do until they hear of a failure.
enum class Stage { Between, Gathering };

Processes::Body member(const Settings& settings, const UniqueId& id, int ranks, Stage stage, int leaver) {
  return [&settings, id, ranks, stage, leaver](int rank, Board& board) {
    Board::Row& row = board.rows[rank];
    auto control = Control::join(settings, id, rank, ranks, callbacks_to(row), kNoCancel);
    if (!control.ok()) return row.fail(control.status());
    row.joined = 1;
    if (rank == leaver) {
      if (!eventually(20, [&] { return board.go.load() > 0; })) return false;
      control.value()->leave();
      _exit(0);
    }
    while (stage == Stage::Gathering && row.aborts == 0)
      if (!control.value()->all_gather(std::string(1000, 'x'), Deadline::after_s(20), "a test").ok()) break;
    const bool heard = eventually(30, [&] { return row.aborts.load() > 0 || board.go.load() > 1; });
    if (row.aborts == 0) control.value()->leave();
    return heard;
  };
}

// All but `gone` name the victim within a second.
void check_heard(Processes& processes, int ranks, const std::vector<int>& gone, int victim, int64_t since_ns, const char* when) {
  const auto is_gone = [&](int rank) { return std::find(gone.begin(), gone.end(), rank) != gone.end(); };
  Board& board = processes.board();
  eventually(5, [&] {
    for (int rank = 0; rank < ranks; ++rank)
      if (!is_gone(rank) && board.rows[rank].aborts == 0) return false;
    return true;
  });
  int64_t latest_ns = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    if (is_gone(rank)) continue;
    INFO("rank " << rank << " says: " << board.rows[rank].text);
    CHECK(board.rows[rank].aborts == 1);
    CHECK(board.rows[rank].guilty == victim);
    CHECK(contains(board.rows[rank].text, concat("rank ", victim, " (pid ")));
    CHECK(contains(board.rows[rank].text, "died: its control connection closed"));
    CHECK(board.rows[rank].at_ns - since_ns < 1'000'000'000);
    latest_ns = std::max(latest_ns, board.rows[rank].at_ns - since_ns);
    CHECK(processes.ended(rank, 10) == 0);
  }
  WARN(when << ": all others know after " << static_cast<double>(latest_ns) / 1e6 << " ms");
}

}  // namespace

TEST_CASE("rank 0 leaves, then another rank is killed: all others hear of it") {
  const Settings settings = loopback();
  for (const int victim : {5, 1, 7}) {
    Processes processes(8, member(settings, make_unique_id(settings).value(), 8, Stage::Between, 0));
    REQUIRE(processes.all_joined(20));
    processes.board().go = 1;
    REQUIRE(processes.ended(0, 5) == 0);
    const int64_t killed_ns = now_ns();
    processes.signal(victim, SIGKILL);
    check_heard(processes, 8, {0, victim}, victim, killed_ns, "rank 0 of 8 has left, another is killed");
  }
}

TEST_CASE("a rank that stands still while others leave does not take them for dead when it goes on") {
  const Settings settings = loopback();
  const UniqueId id = make_unique_id(settings).value();
  Processes processes(8, [&](int rank, Board& board) {
    Board::Row& row = board.rows[rank];
    auto control = Control::join(settings, id, rank, 8, callbacks_to(row), kNoCancel);
    if (!control.ok()) return row.fail(control.status());
    row.joined = 1;
    const int turn = rank == 1 ? 1 : rank == 0 ? 2 : 3;
    if (!eventually(30, [&] { return board.go >= turn || row.aborts > 0; })) return false;
    control.value()->leave(Departure{3, "a call"});
    return row.aborts == 0;
  });
  REQUIRE(processes.all_joined(20));
  processes.signal(5, SIGSTOP);  // rank 1 is its parent
  for (const int leaver : {1, 0}) {
    ++processes.board().go;
    CHECK(processes.ended(leaver, 10) == 0);
  }
  processes.signal(5, SIGCONT);
  CHECK(!eventually(1, [&] {
    for (int rank = 2; rank < 8; ++rank)
      if (processes.board().rows[rank].aborts > 0) return true;
    return false;
  }));
  processes.board().go = 3;
  for (int rank = 2; rank < 8; ++rank) {
    INFO("rank " << rank << " says: " << processes.board().rows[rank].text);
    CHECK(processes.ended(rank, 10) == 0);
  }
}

TEST_CASE("a rank is killed between calls, or in an all-gather: all others hear of it") {
  const Settings settings = loopback();
  for (const Stage stage : {Stage::Between, Stage::Gathering})
    for (const int victim : {0, 1, 6}) {
      Processes processes(8, member(settings, make_unique_id(settings).value(), 8, stage, -1));
      REQUIRE(processes.all_joined(20));
      const int64_t killed_ns = now_ns();
      processes.signal(victim, SIGKILL);
      check_heard(processes, 8, {victim}, victim, killed_ns,
                  concat("rank ", victim, " of 8 is killed ", stage == Stage::Between ? "between calls" : "in an all-gather").c_str());
    }
}

namespace {

// Of this process. 0: there is none. Once there is one, it listens, and this rank is about to say Hello, or has done so.
pid_t control_thread() {
  DIR* const tasks = opendir("/proc/self/task");
  pid_t found = 0;
  while (const dirent* entry = readdir(tasks)) {
    std::string name;
    std::getline(std::ifstream(concat("/proc/self/task/", entry->d_name, "/comm")), name);
    if (name == "tutti-control") found = std::atoi(entry->d_name);
  }
  closedir(tasks);
  return found;
}

}  // namespace

// As on a machine that is too busy.
TEST_CASE("a rank leaves while its control thread gets no time: nobody takes it for dead") {
  const Settings settings = loopback();
  const UniqueId id = make_unique_id(settings).value();
  constexpr int kLeaver = 1;
  Processes processes(8, [&](int rank, Board& board) {
    Board::Row& row = board.rows[rank];
    auto control = Control::join(settings, id, rank, 8, callbacks_to(row), kNoCancel);
    if (!control.ok()) return row.fail(control.status());
    row.code = static_cast<int>(control_thread());
    row.joined = 1;
    if (!eventually(30, [&] { return board.go >= (rank == kLeaver ? 1 : 2) || row.aborts > 0; })) return false;
    control.value()->leave();
    row.guilty = -1;
    control.value().reset();
    return row.aborts == 0;
  });
  REQUIRE(processes.all_joined(20));
  Board& board = processes.board();
  const pid_t thread = board.rows[kLeaver].code;
  if (ptrace(PTRACE_SEIZE, thread, nullptr, nullptr) != 0) {
    WARN("not tried: no thread can be stopped here: " << std::strerror(errno));
  } else {
    REQUIRE(ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) == 0);
    REQUIRE(waitpid(thread, nullptr, __WALL) == thread);
  }
  board.go = 1;
  CHECK(eventually(10, [&] { return board.rows[kLeaver].guilty == -1; }));
  usleep(100'000);  // it waits for its control thread
  (void)ptrace(PTRACE_DETACH, thread, nullptr, nullptr);
  CHECK(processes.ended(kLeaver, 10) == 0);
  usleep(200'000);
  board.go = 2;
  for (int rank = 0; rank < 8; ++rank) {
    if (rank == kLeaver) continue;
    INFO("rank " << rank << " says: " << board.rows[rank].text);
    CHECK(processes.ended(rank, 10) == 0);
  }
}

TEST_CASE("rank 0 is killed while the ranks join: all others name it") {
  constexpr int kRanks = 8;
  const Settings settings = loopback("3");
  std::mt19937 random(11);
  int64_t latest_ns = 0;
  for (int round = 0; round < 30; ++round) {
    const useconds_t delay_us = 500 + random() % 6000;
    const UniqueId id = make_unique_id(settings).value();
    Processes processes(kRanks, [&](int rank, Board& board) {
      Board::Row& row = board.rows[rank];
      std::thread killer;
      if (rank == 0)
        killer = std::thread([&] {
          eventually(10, [] { return control_thread() != 0; });
          usleep(delay_us);  // somewhere in joining, or soon after it
          row.at_ns = now_ns();
          kill(getpid(), SIGKILL);
        });
      auto control = Control::join(settings, id, rank, kRanks, callbacks_to(row), kNoCancel);
      if (control.ok()) return eventually(10, [&] { return row.aborts.load() > 0; });
      note(row, control.status());
      return true;
    });
    for (int rank = 1; rank < kRanks; ++rank) CHECK(processes.ended(rank, 10) == 0);
    for (int rank = 1; rank < kRanks; ++rank) {
      const Board::Row& row = processes.board().rows[rank];
      INFO("round " << round << ", rank " << rank << " says: " << row.text);
      if (contains(row.text, "rank 0 of 8 did not join")) continue;  // it was killed before it said Hello
      CHECK(contains(row.text, "rank 0 (pid "));
      CHECK(contains(row.text, " died"));
      CHECK(row.at_ns - processes.board().rows[0].at_ns < 1'000'000'000);
      latest_ns = std::max(latest_ns, row.at_ns - processes.board().rows[0].at_ns);
    }
  }
  WARN("rank 0 of 8 is killed while the ranks join: all others know after " << static_cast<double>(latest_ns) / 1e6 << " ms at most");
}

TEST_CASE("a rank that leaves compares its calls with all that left before it, rank 0 included") {
  const Settings settings = loopback();
  Crew crew(7);
  REQUIRE(crew.join(settings, make_unique_id(settings).value()));
  const std::vector<std::pair<int, uint64_t>> order = {{0, 5}, {1, 5}, {5, 4}, {2, 5}, {3, 6}, {6, 4}, {4, 5}};
  std::vector<std::optional<Departure>> others;
  for (const auto& [rank, calls] : order) {
    others.push_back(crew.controls[static_cast<size_t>(rank)]->leave(Departure{calls, concat("call of ", rank)}));
    crew.controls[static_cast<size_t>(rank)].reset();
  }
  CHECK(!others[0]);
  CHECK(!others[1]);
  REQUIRE(others[2]);  // rank 5 made fewer calls than rank 0
  CHECK(others[2]->rank == 0);
  CHECK(others[2]->last == "call of 0");
  REQUIRE(others[3]);
  CHECK(others[3]->rank == 5);
  REQUIRE(others[4]);
  REQUIRE(others[5]);
  CHECK(others[5]->rank == 3);
  REQUIRE(others[6]);
  CHECK(others[6]->rank == 5);
  for (Watch& watch : crew.watches) CHECK(watch.aborts == 0);
}

TEST_CASE("after rank 0 has left, a timeout still asks all ranks, and names who lags") {
  const Settings settings = loopback();
  Crew crew(8);
  REQUIRE(crew.join(settings, make_unique_id(settings).value()));
  for (Watch& watch : crew.watches) watch.set_activity({17, 16, "in #17"});
  crew.watches[6].set_activity({16, 16, "idle after #16"});
  for (const size_t rank : {0, 1}) {
    crew.controls[rank]->leave(Departure{17, "AllReduce"});
    crew.controls[rank].reset();
  }
  crew.controls[7]->report_timeout(17, {2}, "AllReduce #17 is late");
  for (size_t rank = 2; rank < 8; ++rank) {
    REQUIRE(crew.watches[rank].aborted(2));
    CHECK(crew.watches[rank].cause().text == "AllReduce #17 is late: rank 6 has not called it (rank 6: idle after #16)");
  }
  crew.controls.clear();
}

namespace {

// Ranks as threads gather, then leave in any order, some of them while others still gather. In some worlds a rank aborts meanwhile: those that
// stay must hear it, and nobody else may fail.
void live_and_leave(const Settings& settings, unsigned seed) {
  std::mt19937 random(seed);
  const int ranks = 2 + static_cast<int>(random() % (seed % 10 == 0 ? 60 : 15));
  const bool aborts = random() % 2 == 0;
  const int aborter = static_cast<int>(random() % static_cast<unsigned>(ranks));
  INFO("seed " << seed << ", " << ranks << " ranks" << (aborts ? concat(", rank ", aborter, " aborts") : ""));
  struct Part {
    unsigned rounds, yields;
    bool stays;
  };
  std::vector<Part> parts;
  const unsigned rounds = static_cast<unsigned>(random() % 3);
  for (int rank = 0; rank < ranks; ++rank) parts.push_back({rounds, static_cast<unsigned>(random() % 20), rank == aborter || random() % 4 == 0});
  Crew crew(ranks);
  std::vector<std::string> wrong(static_cast<size_t>(ranks));
  REQUIRE(crew.join(settings, make_unique_id(settings).value()));
  crew.each([&](int rank) {
    const auto at = static_cast<size_t>(rank);
    Control& control = *crew.controls[at];
    const Part& part = parts[at];
    for (unsigned round = 0; round < part.rounds; ++round)
      if (const auto all = control.all_gather(std::string(10, 'x'), Deadline::after_s(20), "a test"); !all.ok() && !aborts)
        wrong[at] += "an all-gather that all called: " + all.status().text();
    for (unsigned i = 0; i < part.yields; ++i) sched_yield();
    if (aborts && rank == aborter) control.abort({Code::DeviceError, rank, "enough"});
    if (aborts && part.stays && !crew.watches[at].aborted(10)) wrong[at] += "an abort was not heard";
    if (!aborts && part.stays) {
      const Status gathered = control.all_gather("late", Deadline::after_s(20), "a late test").status();
      if (!gathered.ok() && gathered.code() != Code::InvalidUsage) wrong[at] += gathered.text();
    }
    if (const auto other = control.leave(Departure{7, "the same call"})) wrong[at] += concat("rank ", other->rank, " made ", other->calls, " calls");
    if (seed % 2) crew.controls[at].reset();
    return true;
  });
  crew.controls.clear();
  for (size_t rank = 0; rank < crew.watches.size(); ++rank) {
    INFO("rank " << rank << " heard: " << crew.watches[rank].cause().text);
    CHECK(wrong[rank] == "");
    if (crew.watches[rank].aborts > 0) CHECK(crew.watches[rank].cause().text == (aborts ? "enough" : ""));
  }
}

}  // namespace

TEST_CASE("ranks leave in any order while others gather or abort") {
  const Settings settings = loopback();
  for (unsigned seed = 1; seed <= 200; ++seed) live_and_leave(settings, seed);
}

TEST_CASE("a stopped inner rank is blamed, and not those behind it") {
  const Settings settings = loopback();
  for (const auto& [stopped, asker] : {std::pair(1, 2), std::pair(1, 6), std::pair(0, 6), std::pair(0, 3)}) {
    const int ask = asker;
    const UniqueId id = make_unique_id(settings).value();
    Processes processes(8, [&](int rank, Board& board) {
      Board::Row& row = board.rows[rank];
      auto control = Control::join(settings, id, rank, 8, callbacks_to(row, {17, 16, "in AllReduce #17"}), kNoCancel);
      if (!control.ok()) return row.fail(control.status());
      row.joined = 1;
      if (rank == ask && !eventually(20, [&] { return board.go > 0; })) return false;
      if (rank == ask) control.value()->report_timeout(17, {}, "AllReduce #17 is late");
      return eventually(20, [&] { return row.aborts > 0; });
    });
    REQUIRE(processes.all_joined(20));
    processes.signal(stopped, SIGSTOP);
    const int64_t begin_ns = now_ns();
    processes.board().go = 1;
    CHECK(processes.ended(ask, 5) == 0);
    const Board::Row& row = processes.board().rows[ask];
    INFO("rank " << stopped << " is stopped, rank " << ask << " says: " << row.text);
    CHECK(row.guilty == stopped);
    CHECK(contains(row.text, "AllReduce #17 is late: rank " + std::to_string(stopped)));
    CHECK(contains(row.text, "does not answer (stopped or swapped out?)"));
    for (const char* behind : {"rank 5", "rank 6", "rank 7"}) CHECK(!contains(row.text, behind));
    CHECK(row.at_ns - begin_ns < 3'000'000'000);
    processes.signal(stopped, SIGCONT);
    for (int rank = 0; rank < 8; ++rank)
      if (rank != ask) CHECK(processes.ended(rank, 10) == 0);
  }
}

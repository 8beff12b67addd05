// failure_test: what the ranks hear when one of them dies, aborts, leaves, stands still or is late.
#include "lib/boot/inquiry.h"
#include "tests/boot/ranks.h"
#include "tests/catch.h"

using namespace tutti;
using namespace tutti::test;

namespace {

// Processes that join, then wait: for an abort, or for the test's go (then they leave).
Processes::Body member(const Settings& settings, const UniqueId& id, int ranks) {
  return [&settings, id, ranks](int rank, Board& board) {
    Board::Row& row = board.rows[rank];
    auto control = Control::join(settings, id, rank, ranks, callbacks_to(row, {16, 16, "idle after #16"}), kNoCancel);
    if (!control.ok()) return row.fail(control.status());
    row.joined = 1;
    if (!eventually(30, [&] { return row.aborts.load() > 0 || board.go.load() > 0; })) return false;
    if (row.aborts.load() == 0) control.value()->leave();
    control.value().reset();
    return row.aborts.load() <= 1;
  };
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The victim dies; all others must hear of it within 2 s.
void kill_one(int ranks, int victim) {
  const Settings settings = loopback();
  Processes processes(ranks, member(settings, make_unique_id(settings).value(), ranks));
  REQUIRE(processes.all_joined(20));
  processes.signal(victim, SIGKILL);
  REQUIRE(eventually(2, [&] {
    for (int rank = 0; rank < ranks; ++rank)
      if (rank != victim && processes.board().rows[rank].aborts.load() == 0) return false;
    return true;
  }));
  for (int rank = 0; rank < ranks; ++rank) {
    if (rank == victim) continue;
    CHECK(processes.ended(rank, 10) == 0);
    const Board::Row& row = processes.board().rows[rank];
    CHECK(row.aborts == 1);
    CHECK(row.guilty == victim);
    CHECK(row.code == static_cast<int>(Code::RemoteError));
    CHECK(contains(row.text, concat("rank ", victim, " (pid ")));
    CHECK(contains(row.text, "died: its control connection closed"));
  }
}

}  // namespace

TEST_CASE("a killed member is named to all") {
  kill_one(4, 2);
  kill_one(2, 1);
}

TEST_CASE("a killed rank 0 is named to all") {
  kill_one(4, 0);
}

TEST_CASE("abort reaches all, with its text") {
  const Settings settings = loopback();
  for (int origin = 0; origin < 4; ++origin) {
    Crew crew(4);
    REQUIRE(crew.join(settings, make_unique_id(settings).value()));
    Status gathered;
    std::thread gatherer([&] { gathered = crew.controls[1]->all_gather("x", Deadline::after_s(10), "a test").status(); });
    crew.controls[static_cast<size_t>(origin)]->abort({Code::DeviceError, origin, "the disk is full"});
    for (Watch& watch : crew.watches) {
      REQUIRE(watch.aborted(2));
      CHECK(watch.cause().text == "the disk is full");
      CHECK(watch.cause().rank == origin);
      CHECK(watch.cause().code == Code::DeviceError);
    }
    gatherer.join();
    CHECK(gathered.text() == "the disk is full");
    CHECK(crew.controls[2]->all_gather("x", Deadline::after_s(10), "a test").status().text() == "the disk is full");
    for (auto& control : crew.controls) control->abort({Code::RemoteError, 0, "too late"});
    crew.controls.clear();
    for (Watch& watch : crew.watches) CHECK(watch.aborts == 1);
  }
}

TEST_CASE("abort, then gone at once: the others hear the abort, not a death") {
  const Settings settings = loopback();
  for (int origin : {0, 2}) {
    Crew crew(4);
    REQUIRE(crew.join(settings, make_unique_id(settings).value()));
    crew.controls[static_cast<size_t>(origin)]->abort({Code::RemoteError, origin, "enough"});
    crew.controls[static_cast<size_t>(origin)].reset();
    for (int rank = 0; rank < 4; ++rank) {
      if (rank == origin) continue;
      REQUIRE(crew.watches[static_cast<size_t>(rank)].aborted(2));
      CHECK(crew.watches[static_cast<size_t>(rank)].cause().text == "enough");
    }
    crew.controls.clear();
  }
}

// The aborts come 0 to 99 us after the thread of the control plane has started: often while it is between taking its orders and looking
// whether to end.
TEST_CASE("abort as soon as a rank has joined, then gone: the others hear the abort") {
  const Settings settings = loopback();
  for (int round = 0; round < 400; ++round) {
    Crew crew(2);
    const int origin = round % 2;
    const UniqueId id = make_unique_id(settings).value();
    REQUIRE(crew.each([&](int rank) {
      auto control = Control::join(settings, id, rank, 2, crew.watches[static_cast<size_t>(rank)].callbacks(), kNoCancel);
      if (!control.ok()) return false;
      if (rank != origin) {
        crew.controls[static_cast<size_t>(rank)] = std::move(control.value());
        return true;
      }
      for (const int64_t end = now_ns() + round % 100 * 1000; now_ns() < end;) {
      }
      control.value()->abort({Code::RemoteError, origin, "enough"});
      return true;
    }));
    Watch& other = crew.watches[static_cast<size_t>(1 - origin)];
    REQUIRE(other.aborted(2));
    REQUIRE(other.cause().text == "enough");
  }
}

TEST_CASE("leaving is no failure") {
  const Settings settings = loopback();
  SECTION("of processes that exit at once") {
    const UniqueId id = make_unique_id(settings).value();
    Processes processes(4, [&](int rank, Board& board) {
      Board::Row& row = board.rows[rank];
      auto control = Control::join(settings, id, rank, 4, callbacks_to(row), kNoCancel);
      if (!control.ok()) return row.fail(control.status());
      row.joined = 1;
      if (rank == 1) {
        control.value()->leave();
        _exit(0);
      }
      if (!eventually(20, [&] { return board.go.load() > 0; })) return false;
      control.value()->leave();
      control.value().reset();
      return row.aborts == 0;
    });
    REQUIRE(processes.all_joined(20));
    CHECK(processes.ended(1, 5) == 0);
    CHECK(!eventually(0.3, [&] { return processes.board().rows[2].aborts > 0; }));
    processes.board().go = 1;
    for (int rank : {0, 2, 3}) CHECK(processes.ended(rank, 5) == 0);
  }
  SECTION("but an exchange with a rank that has left fails") {
    Crew crew(3);
    REQUIRE(crew.join(settings, make_unique_id(settings).value()));
    crew.controls[2]->leave();
    crew.controls[2].reset();
    const auto all = crew.controls[1]->all_gather("x", Deadline::after_s(10), "a test");
    CHECK(all.status().code() == Code::InvalidUsage);
    CHECK(contains(all.status().text(), "rank 2 (pid "));
    CHECK(contains(all.status().text(), "has left"));
    crew.leave_and_destroy();
    for (Watch& watch : crew.watches) CHECK(watch.aborts == 0);
  }
  SECTION("and nothing is reported to who has left") {
    Crew crew(3);
    REQUIRE(crew.join(settings, make_unique_id(settings).value()));
    crew.controls[2]->leave();
    crew.controls[1].reset();
    REQUIRE(crew.watches[0].aborted(2));
    CHECK(!crew.watches[2].aborted(0.1));
    crew.leave_and_destroy();
  }
}

TEST_CASE("when rank 0 has left, failures are relayed as before") {
  const Settings settings = loopback();
  SECTION("a death") {
    Crew crew(4);
    REQUIRE(crew.join(settings, make_unique_id(settings).value()));
    crew.controls[0]->leave();
    crew.controls[0].reset();
    CHECK(contains(crew.controls[2]->all_gather("x", Deadline::after_s(10), "a test").status().text(), "rank 0 (pid "));
    crew.controls[1].reset();
    for (const size_t rank : {2, 3}) {
      REQUIRE(crew.watches[rank].aborted(2));
      CHECK(contains(crew.watches[rank].cause().text, "rank 1 (pid "));
    }
    crew.controls.clear();
  }
  SECTION("an abort of the only rank that is left") {
    Crew crew(3);
    REQUIRE(crew.join(settings, make_unique_id(settings).value()));
    for (const size_t rank : {0, 1}) {
      crew.controls[rank]->leave();
      crew.controls[rank].reset();
    }
    crew.controls[2]->abort({Code::RemoteError, 2, "mine"});
    REQUIRE(crew.watches[2].aborted(1));
    CHECK(crew.watches[2].cause().text == "mine");
    crew.controls[2].reset();
  }
}

TEST_CASE("leave() ends an all-gather in another thread of the same rank") {
  Crew crew(2);
  const Settings settings = loopback();
  REQUIRE(crew.join(settings, make_unique_id(settings).value()));
  const int64_t begin_ns = now_ns();
  Status gathered;
  std::thread gatherer([&] { gathered = crew.controls[0]->all_gather("x", Deadline::after_s(20), "a test").status(); });
  crew.controls[0]->leave();
  gatherer.join();
  CHECK(gathered.code() == Code::InvalidUsage);
  CHECK(gathered.text() == "this rank has left the communicator");
  CHECK(now_ns() - begin_ns < 10'000'000'000);
}

TEST_CASE("an exchange that is late names who is missing") {
  const Settings settings = loopback();
  Crew crew(3);
  REQUIRE(crew.join(settings, make_unique_id(settings).value()));
  const auto all = crew.controls[0]->all_gather("x", Deadline::after_s(0.2), "a test");
  CHECK(all.status().code() == Code::RemoteError);
  CHECK(contains(all.status().text(), "a test did not finish in time: rank 1 has not called it"));
  CHECK(contains(all.status().text(), "rank 2 has not called it"));
  CHECK(crew.watches[2].aborted(2));
  crew.controls.clear();
}

TEST_CASE("a late operation: who lags is named") {
  const Settings settings = loopback();
  Crew crew(4);
  REQUIRE(crew.join(settings, make_unique_id(settings).value()));
  for (Watch& watch : crew.watches) watch.set_activity({17, 16, "in AllReduce #17, waiting for rank 2"});
  SECTION("in a collective") {
    crew.watches[2].set_activity({16, 16, "idle after #16"});
    crew.controls[1]->report_timeout(17, {2}, "AllReduce #17 did not finish within 5 s");
    for (Watch& watch : crew.watches) {
      REQUIRE(watch.aborted(2));
      CHECK(watch.cause().rank == 2);
      CHECK(watch.cause().text ==
            "AllReduce #17 did not finish within 5 s: rank 2 has not called it (rank 2: idle after #16)");
    }
  }
  SECTION("point to point") {
    crew.controls[1]->report_timeout(0, {3}, "Recv from rank 3 did not finish within 5 s");
    REQUIRE(crew.watches[0].aborted(2));
    CHECK(crew.watches[0].cause().rank == 3);
    CHECK(contains(crew.watches[0].cause().text, "rank 3: in AllReduce #17"));
  }
  SECTION("nobody") {
    crew.controls[1]->report_timeout(17, {2}, "AllReduce #17 did not finish within 5 s");
    REQUIRE(crew.watches[0].aborted(2));
    CHECK(crew.watches[0].cause().rank == -1);
    CHECK(contains(crew.watches[0].cause().text,
                   "all ranks have called it; rank 0: in AllReduce #17, waiting for rank 2; rank 1:"));
  }
  crew.controls.clear();
  for (Watch& watch : crew.watches) CHECK(watch.aborts == 1);
}

// Rank 1 is stuck in #5, which rank 2 has called differently. Rank 0 is through with #5 and waits in #6.
TEST_CASE("a late operation: an earlier call that ranks made differently is found") {
  const Settings settings = loopback();
  for (const bool single : {false, true}) {
    Crew crew(3);
    REQUIRE(crew.join(settings, make_unique_id(settings).value()));
    crew.watches[0].set_activity({single ? 5u : 6u, 5, "in #6"});
    crew.watches[1].set_activity({5, 4, "in #5"});
    crew.watches[2].set_activity({6, 5, "in #6"});
    crew.watches[0].set_call(6, "X");
    for (int rank = 0; rank < 3; ++rank) crew.watches[static_cast<size_t>(rank)].set_call(5, rank == 2 ? "B" : "A");
    crew.controls[0]->report_timeout(single ? 0 : 6, {1}, "it did not finish within 5 s");
    for (Watch& watch : crew.watches) {
      REQUIRE(watch.aborted(2));
      CHECK(watch.cause().code == Code::InvalidUsage);
      CHECK(watch.cause().text ==
            "ranks made different calls: ranks 0 and 1 called A; rank 2 called B [collective #5] (it did not finish within 5 s)");
    }
  }
}

TEST_CASE("a stopped process is named when an operation is late") {
  const Settings settings = loopback();
  for (int victim : {0, 2}) {
    const UniqueId id = make_unique_id(settings).value();
    Processes processes(4, [&](int rank, Board& board) {
      Board::Row& row = board.rows[rank];
      auto control = Control::join(settings, id, rank, 4, callbacks_to(row, {17, 16, "in AllReduce #17"}), kNoCancel);
      if (!control.ok()) return row.fail(control.status());
      row.joined = 1;
      if (rank == 1) {
        if (!eventually(20, [&] { return board.go.load() > 0; })) return false;
        control.value()->report_timeout(17, {}, "AllReduce #17 did not finish within 5 s");
      }
      if (!eventually(20, [&] { return row.aborts.load() > 0; })) return false;
      control.value().reset();
      return row.aborts == 1;
    });
    REQUIRE(processes.all_joined(20));
    processes.signal(victim, SIGSTOP);
    processes.board().go = 1;
    CHECK(processes.ended(1, 5) == 0);
    const Board::Row& row = processes.board().rows[1];
    CHECK(row.guilty == victim);
    CHECK(contains(row.text, concat("rank ", victim)));
    CHECK(contains(row.text, "does not answer (stopped or swapped out?)"));
    // The others: at once if rank 0 could ask; else when it is back.
    processes.signal(victim, SIGCONT);
    for (int rank : {0, 2, 3}) CHECK(processes.ended(rank, 10) == 0);
  }
}

TEST_CASE("the sentence about a late operation") {
  const auto given = [](uint64_t entered, const char* text) {
    return Answer{Answer::Kind::Given, {entered, entered - 1, text}};
  };
  const Answer silent{Answer::Kind::Silent, {}}, left{Answer::Kind::Left, {}};
  const Inquiry inquiry{9, {}, "X #9 is late"};
  Cause cause = conclude(inquiry, {given(9, "in #9"), given(8, "in #8"), silent, given(7, "in #7"), left});
  CHECK(cause.rank == 2);
  CHECK(cause.text ==
        "X #9 is late: rank 2 does not answer (stopped or swapped out?); rank 4 has left the communicator; rank 3 has not "
        "called it "
        "(rank 3: in #7); rank 1 has not called it (rank 1: in #8)");
  std::vector<Answer> many(100, silent);
  many[0] = given(9, "in #9");
  CHECK(contains(conclude(inquiry, many).text, "; and 91 more"));
  CHECK(conclude({0, {500, -3}, "odd"}, {silent, silent}).rank == -1);

  // Rank 1 has called something else as #9, and is in #10 now.
  const auto called = [&](uint64_t entered, const char* then) {
    Answer answer = given(entered, "busy");
    answer.activity.then = then;
    return answer;
  };
  cause = conclude(inquiry, {called(9, "A"), called(10, "B"), called(9, "A")});
  CHECK(cause.code == Code::InvalidUsage);
  CHECK(cause.rank == 1);
  CHECK(cause.text == "ranks made different calls: ranks 0 and 2 called A; rank 1 called B [collective #9] (X #9 is late)");
}

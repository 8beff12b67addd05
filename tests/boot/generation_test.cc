// generation_test: after a failure the ranks that are left agree on who goes on, and meet again.
#include <algorithm>
#include <random>

#include "tests/boot/ranks.h"
#include "tests/catch.h"

using namespace tutti;
using namespace tutti::test;

namespace {

std::string text_of(const Generation& generation) {
  std::string text;
  for (const int rank : generation.ranks) text += concat(rank, " ");
  return text + std::to_string(std::hash<std::string_view>()({generation.id.data(), generation.id.size()}));
}

// The ranks of a generation meet and exchange their old numbers.
bool meet_again(const Settings& settings, const Generation& generation, int old_rank) {
  const int ranks = static_cast<int>(generation.ranks.size());
  const auto own = std::find(generation.ranks.begin(), generation.ranks.end(), old_rank);
  if (own == generation.ranks.end()) return false;
  if (ranks == 1) return retire_unique_id(settings, generation.id), true;
  auto control = Control::join(settings, generation.id, static_cast<int>(own - generation.ranks.begin()), ranks, {}, kNoCancel);
  if (!control.ok()) return false;
  const auto all = control.value()->all_gather(std::to_string(old_rank), Deadline::after_s(20), "a test");
  control.value()->leave();
  if (!all.ok()) return false;
  for (size_t i = 0; i < all.value().size(); ++i)
    if (all.value()[i] != std::to_string(generation.ranks[i])) return false;
  return true;
}

// As threads: `first` die; `later` die while the others agree. Each survivor gets the same list, without the dead.
void agree(const Settings& settings, int ranks, const std::vector<int>& first, const std::vector<int>& later, const std::vector<int>& leavers) {
  const auto in = [](const std::vector<int>& list, int rank) { return std::find(list.begin(), list.end(), rank) != list.end(); };
  Crew crew(ranks);
  REQUIRE(crew.join(settings, make_unique_id(settings).value()));
  for (const int rank : first) crew.controls[static_cast<size_t>(rank)].reset();
  std::vector<std::string> lists(static_cast<size_t>(ranks));
  std::atomic<int> calling{0};
  const int64_t begin_ns = now_ns();
  crew.each([&](int rank) {
    const auto at = static_cast<size_t>(rank);
    if (in(first, rank)) return true;
    if (!crew.watches[at].aborted(10)) return lists[at] = "no failure", false;
    if (in(leavers, rank)) crew.controls[at]->leave();
    if (in(later, rank)) eventually(10, [&] { return calling > 0; });
    if (in(later, rank) || in(leavers, rank)) return crew.controls[at].reset(), true;
    ++calling;
    const Result<Generation> generation = crew.controls[at]->regenerate(Deadline::after_s(10));
    lists[at] = generation.ok() ? text_of(generation.value()) : generation.status().text();
    if (generation.ok() && later.empty() && !meet_again(settings, generation.value(), rank)) lists[at] += " did not meet again";
    if (generation.ok() && !later.empty()) retire_unique_id(settings, generation.value().id);
    return true;
  });
  const double seconds = static_cast<double>(now_ns() - begin_ns) * 1e-9;
  std::string expected;
  for (int rank = 0; rank < ranks; ++rank)
    if (!in(first, rank) && !in(later, rank) && !in(leavers, rank)) expected += concat(rank, " ");
  std::string list;
  for (int rank = 0; rank < ranks; ++rank) {
    if (in(first, rank) || in(later, rank) || in(leavers, rank)) continue;
    INFO("rank " << rank << " of " << ranks << " got " << lists[static_cast<size_t>(rank)]);
    if (list.empty()) list = lists[static_cast<size_t>(rank)];
    CHECK(lists[static_cast<size_t>(rank)] == list);
    CHECK(list.find(expected) == 0);
  }
  CHECK(seconds < 5);
  crew.leave_and_destroy();
}

}  // namespace

TEST_CASE("the ranks that are left agree, whoever died") {
  const Settings settings = loopback();
  agree(settings, 2, {0}, {}, {});
  agree(settings, 2, {1}, {}, {});
  for (const std::vector<int>& dead : std::vector<std::vector<int>>{{0}, {1}, {7}, {0, 1}, {0, 6}, {1, 2}, {0, 1, 2, 3, 4}}) agree(settings, 8, dead, {}, {});
  agree(settings, 8, {3}, {}, {0, 5});
}

TEST_CASE("ranks die while the others agree") {
  const Settings settings = loopback();
  for (const std::vector<int>& later : std::vector<std::vector<int>>{{0}, {1}, {7}, {0, 1}, {0, 1, 2}}) agree(settings, 8, {5}, later, {});
}

TEST_CASE("there is no next generation without a failure, nor for who has left") {
  const Settings settings = loopback();
  Crew crew(2);
  REQUIRE(crew.join(settings, make_unique_id(settings).value()));
  CHECK(crew.controls[0]->regenerate(Deadline::after_s(1)).status().code() == Code::InvalidUsage);
  crew.controls[0]->leave();
  CHECK(crew.controls[0]->regenerate(Deadline::after_s(1)).status().code() == Code::InvalidUsage);
  crew.leave_and_destroy();
}

TEST_CASE("who does not call in time is left out and told so; the others may agree again") {
  const Settings settings = loopback();
  Crew crew(6);
  REQUIRE(crew.join(settings, make_unique_id(settings).value()));
  crew.controls[4].reset();
  std::vector<std::string> lists(6), again(6);
  crew.each([&](int rank) {
    const auto at = static_cast<size_t>(rank);
    if (rank == 4) return true;
    if (!crew.watches[at].aborted(10) || rank == 0) return true;
    const Result<Generation> generation = crew.controls[at]->regenerate(Deadline::after_s(0.5));
    lists[at] = generation.ok() ? text_of(generation.value()) : generation.status().text();
    if (rank == 2) return crew.controls[at].reset(), true;
    const Result<Generation> next = crew.controls[at]->regenerate(Deadline::after_s(10));
    again[at] = next.ok() ? text_of(next.value()) : next.status().text();
    return true;
  });
  const Status late = crew.controls[0]->regenerate(Deadline::after_s(5)).status();
  CHECK(late.code() == Code::RemoteError);
  CHECK(late.text().find("have agreed to go on without it") != std::string::npos);
  for (const size_t rank : {1, 2, 3, 5}) {
    CHECK(lists[rank] == lists[1]);
    CHECK(lists[rank].find("1 2 3 5 ") == 0);
    if (rank != 2) CHECK(again[rank] == again[1]);
    if (rank != 2) CHECK(again[rank].find("1 3 5 ") == 0);
  }
  CHECK(again[1].substr(6) != lists[1].substr(8));  // another id
  crew.leave_and_destroy();
}

TEST_CASE("seeded worlds whose ranks die, leave and agree") {
  const Settings settings = loopback();
  for (unsigned seed = 1; seed <= 60; ++seed) {
    std::mt19937 random(seed);
    const int ranks = 3 + static_cast<int>(random() % 14);
    std::vector<int> order(static_cast<size_t>(ranks));
    for (int rank = 0; rank < ranks; ++rank) order[static_cast<size_t>(rank)] = rank;
    std::shuffle(order.begin(), order.end(), random);
    const long dead = 1 + static_cast<long>(random() % 2), later = static_cast<long>(random() % 3) * (ranks > 5), left = static_cast<long>(random() % 2) * (ranks > 5);
    const auto take = [&](long from, long count) { return std::vector<int>(order.begin() + from, order.begin() + from + count); };
    INFO("seed " << seed);
    agree(settings, ranks, take(0, dead), take(dead, later), take(dead + later, left));
  }
}

TEST_CASE("a stopped rank is left out, and hears of it when it goes on") {
  const Settings settings = loopback();
  // With rank 1 killed and rank 0 stopped, ranks 5 to 7 have no parent, and the first one that they find does not answer.
  for (const auto& [to_stop, killed] : std::vector<std::pair<int, int>>{{0, 4}, {1, 4}, {6, 4}, {0, 1}}) {
    const int stopped = to_stop;  // clang 14 captures no structured bindings
    std::vector<int> survivors;
    for (int rank = 0; rank < 8; ++rank)
      if (rank != killed) survivors.push_back(rank);
    const UniqueId id = make_unique_id(settings).value();
    Processes processes(8, [&](int rank, Board& board) {
      Board::Row& row = board.rows[rank];
      auto control = Control::join(settings, id, rank, 8, callbacks_to(row), kNoCancel);
      if (!control.ok()) return row.fail(control.status());
      row.joined = 1;
      if (!eventually(20, [&] { return row.aborts > 0 && board.go > 0; })) return false;
      const Result<Generation> generation = control.value()->regenerate(Deadline::after_s(4));
      std::strncpy(row.text, (generation.ok() ? text_of(generation.value()) : generation.status().text()).c_str(), sizeof row.text - 1);
      row.at_ns = now_ns();
      const bool met = rank == stopped || (generation.ok() && meet_again(settings, generation.value(), rank));
      if (rank != stopped) eventually(20, [&] { return board.go > 1; });
      return met;
    });
    REQUIRE(processes.all_joined(20));
    processes.signal(killed, SIGKILL);
    REQUIRE(eventually(5, [&] {
      for (const int rank : survivors)
        if (processes.board().rows[rank].aborts == 0) return false;
      return true;
    }));
    processes.signal(stopped, SIGSTOP);
    for (Board::Row& row : processes.board().rows) row.at_ns = 0;
    const int64_t begin_ns = now_ns();
    processes.board().go = 1;
    std::string expected;
    for (const int rank : survivors)
      if (rank != stopped) expected += concat(rank, " ");
    const auto all = [&] {
      for (const int rank : survivors)
        if (rank != stopped && processes.board().rows[rank].at_ns == 0) return false;
      return true;
    };
    CHECK(eventually(12, all));
    WARN("rank " << stopped << " is stopped: the others agree after " << static_cast<double>(now_ns() - begin_ns) / 1e9 << " s");
    processes.signal(stopped, SIGCONT);
    CHECK(eventually(12, [&] { return processes.board().rows[stopped].at_ns > 0; }));
    processes.board().go = 2;
    std::string list;
    for (const int rank : survivors) {
      INFO("rank " << rank << " got " << processes.board().rows[rank].text);
      CHECK(processes.ended(rank, 20) == 0);
      const std::string text = processes.board().rows[rank].text;
      if (rank == stopped) {
        CHECK(text.find("go on without it") != std::string::npos);
        continue;
      }
      if (list.empty()) list = text;
      CHECK(text == list);
      CHECK(text.find(expected) == 0);
    }
  }
}

// tree_test: the shape of the tree, and what it costs each rank.
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "lib/boot/roster.h"
#include "lib/boot/tree.h"
#include "tests/boot/ranks.h"
#include "tests/catch.h"

using namespace tutti;
using namespace tutti::test;

namespace {

std::vector<Key> hosts_of(const std::vector<int>& numbers) {
  std::vector<Key> hosts;
  for (const int number : numbers) hosts.push_back(Key{static_cast<uint8_t>(number), static_cast<uint8_t>(number >> 8)});
  return hosts;
}

void check_tree(const std::vector<int>& hosts) {
  const size_t ranks = hosts.size();
  const Tree tree = plan_tree(hosts_of(hosts));
  REQUIRE(tree.order.size() == ranks);
  REQUIRE(tree.parent.size() == ranks);
  REQUIRE(tree.order[0] == 0);
  CHECK(tree.parent[0] == -1);
  std::set<int> seen;
  std::vector<size_t> children(ranks), depth(ranks);
  std::map<int, int> between;  // by host: connections that lead up to another host
  for (const int rank : tree.order) {
    CHECK(seen.insert(rank).second);
    const int parent = tree.parent[static_cast<size_t>(rank)];
    if (rank == 0) continue;
    REQUIRE(seen.count(parent) == 1);  // before its children
    CHECK(++children[static_cast<size_t>(parent)] <= 2 * kFanOut);
    depth[static_cast<size_t>(rank)] = depth[static_cast<size_t>(parent)] + 1;
    const int host = hosts[static_cast<size_t>(rank)];
    if (host != hosts[static_cast<size_t>(parent)]) ++between[host];
  }
  for (const int host : std::set<int>(hosts.begin(), hosts.end())) CHECK(between[host] == (host == hosts[0] ? 0 : 1));
  size_t levels = 1;
  for (size_t reached = 1; reached < ranks; reached = reached * kFanOut + 1) ++levels;
  CHECK(*std::max_element(depth.begin(), depth.end()) <= 2 * levels);
}

}  // namespace

TEST_CASE("the tree reaches each rank once, with few children, and each host over one connection") {
  check_tree({0});
  check_tree({0, 0, 0, 0, 0, 0});
  check_tree({3, 2, 1, 0});
  check_tree({0, 1, 0, 1, 2, 1, 0});
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<int> hosts(1 + random() % 300);
    const unsigned count = 1 + random() % 100;
    for (int& host : hosts) host = static_cast<int>(random() % count);
    check_tree(hosts);
  }
  check_tree(std::vector<int>(kMaxRanks, 5));
  std::vector<int> alone(kMaxRanks);
  for (size_t rank = 0; rank < alone.size(); ++rank) alone[rank] = static_cast<int>(rank);
  check_tree(alone);
}

TEST_CASE("the seats of all ranks come through in pieces, and nonsense does not") {
  constexpr int kRanks = kMaxRanks;
  std::vector<Seat> seats;
  for (int rank = 0; rank < kRanks; ++rank)
    seats.push_back({{(rank * 7) % kRanks, static_cast<uint32_t>(rank), std::string(64, 'h')}, fresh_unix_address(), random_nonce()});
  const std::vector<std::string> pieces = pack_seats(seats);
  CHECK(pieces.size() > 1);
  Roster roster(kRanks);
  for (const std::string& piece : pieces) {
    CHECK(piece.size() <= kMaxPayloadBytes);
    CHECK(!roster.complete());
    REQUIRE(roster.take(piece));
  }
  REQUIRE(roster.complete());
  CHECK(roster.packed() == pieces);
  CHECK(!roster.take(pieces[0]));  // again
  Roster small(3);
  CHECK(!small.take(pieces[0]));
  CHECK(!small.take(pieces[0].substr(0, 100)));
  CHECK(roster.first_before(seats[0].who.rank) == -1);
  CHECK(roster.first_before(seats[5].who.rank) == seats[0].who.rank);
  roster.set(seats[0].who.rank, Presence::Left);
  roster.set(seats[1].who.rank, Presence::Dead);
  CHECK(roster.first_before(seats[5].who.rank) == seats[2].who.rank);
  CHECK(roster.first_before(seats[2].who.rank) == -1);
}

TEST_CASE("a rank that becomes the root refers most orphans to its children") {
  constexpr int kMany = 96, kHeir = 24;
  const Settings settings = loopback();
  const UniqueId id = make_unique_id(settings).value();
  // The heir in a process of its own. All before it leave, one after another.
  Processes processes(2, [&](int process, Board& board) {
    const int descriptors = count_entries("/proc/self/fd");
    Crew crew(kMany);
    const bool joined = crew.each([&](int rank) {
      if ((rank == kHeir) != (process == 1)) return true;
      const auto at = static_cast<size_t>(rank);
      auto control = Control::join(settings, id, rank, kMany, crew.watches[at].callbacks(), kNoCancel);
      if (control.ok()) crew.controls[at] = std::move(control.value());
      return control.ok();
    });
    if (!joined) return false;
    for (size_t rank = 0; process == 0 && rank < kHeir; ++rank) {
      crew.controls[rank]->leave();
      crew.controls[rank].reset();
    }
    ++board.rows[process].joined;
    if (!eventually(20, [&] { return board.rows[0].joined + board.rows[1].joined == 2; })) return false;
    const int most = 2 + 3 * static_cast<int>(kFanOut);
    if (process == 1 && !eventually(5, [&] { return (board.rows[1].guilty = count_entries("/proc/self/fd") - descriptors) <= most; })) return false;
    if (process == 1) crew.controls[kHeir]->abort({Code::DeviceError, kHeir, "all are still below the heir"});
    bool heard = true;
    for (size_t rank = kHeir; process == 0 && rank < kMany; ++rank) heard = heard && (rank == kHeir || crew.watches[rank].aborted(10));
    crew.leave_and_destroy();
    return heard;
  });
  for (const int process : {0, 1}) {
    const bool ended = processes.ended(process, 60) == 0;
    INFO("process " << process << " holds " << processes.board().rows[process].guilty << " descriptors");
    CHECK(ended);
  }
}

TEST_CASE("a rank of many holds few descriptors and one thread") {
  constexpr int kMany = 96;
  const Settings settings = loopback();
  const UniqueId id = make_unique_id(settings).value();
  // Rank 0 in a process of its own, all others in another one.
  Processes processes(2, [&](int process, Board& board) {
    const int descriptors = count_entries("/proc/self/fd");
    Crew crew(kMany);
    const bool joined = crew.each([&](int rank) {
      if ((rank == 0) != (process == 0)) return true;
      const auto at = static_cast<size_t>(rank);
      auto control = Control::join(settings, id, rank, kMany, crew.watches[at].callbacks(), kNoCancel);
      if (control.ok()) crew.controls[at] = std::move(control.value());
      return control.ok();
    });
    if (!joined) return false;
    const int own = process == 0 ? 1 : kMany - 1;
    const auto few = [&] {
      const int held = count_entries("/proc/self/fd") - descriptors;
      board.rows[process].guilty = held;
      // A listener and a bell each, and both ends of each connection; but the four to rank 0 have one end here.
      return process == 0 ? held <= 2 + 4 : held <= own * 2 + 2 * own - 4;
    };
    if (!eventually(10, few)) return false;
    if (process == 0 && library_threads() != 1) return false;
    ++board.rows[process].joined;
    if (!eventually(20, [&] { return board.rows[0].joined + board.rows[1].joined == 2; })) return false;
    crew.leave_and_destroy();
    return true;
  });
  for (const int process : {0, 1}) {
    const bool ended = processes.ended(process, 60) == 0;
    INFO("process " << process << " holds " << processes.board().rows[process].guilty << " descriptors");
    CHECK(ended);
  }
}

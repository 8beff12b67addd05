// explain: the parts of a price are its whole, and the choice is the library's.
#include "tools/explain.h"

#include <algorithm>
#include <cstdlib>

#include "lib/comm/plans.h"
#include "lib/topo/topology.h"
#include "tests/catch.h"

namespace tutti {
namespace {

Problem problem_of(const Topology& topology, Collective collective = Collective::AllReduce) {
  return {collective, 0, 0, topology.ranks(), false, true, topology};
}

struct Algo {
  explicit Algo(const char* value) { setenv("TUTTI_ALGO", value, 1); }
  ~Algo() { unsetenv("TUTTI_ALGO"); }
};

}  // namespace

TEST_CASE("explain: parts add up") {
  const Topology topology = Topology::synthetic("rack:2 host:1+2 core:2+3+3").value();
  for (const Choice& choice : rank_algorithms(problem_of(topology), 1 << 20)) {
    const PriceParts parts = parts_of(*choice.algorithm, problem_of(topology), 1 << 20);
    INFO(choice.algorithm->name);
    REQUIRE(parts.total == choice.seconds);
    REQUIRE(parts.latency + parts.messages + parts.wire + parts.work == Approx(parts.total));
    REQUIRE(parts.latency > 0);
    REQUIRE(parts.wire > 0);
    REQUIRE((parts.slowest == "rack" || parts.slowest == "host"));
  }
}

TEST_CASE("explain: parts of any number of ranks, with cores of their own or without") {
  for (const char* text : {"core:2", "core:3", "core:7", "host:3 core:3", "host:2 core:2+1"})
    for (const double crowding : {1.0, 3.0})
      for (int collective = 0; collective < kCollectives; ++collective)
        for (const size_t bytes : {size_t{8}, size_t{1} << 16, size_t{1} << 20}) {
          Topology topology = Topology::synthetic(text).value();
          topology.set_crowding(crowding);
          const Problem problem = problem_of(topology, static_cast<Collective>(collective));
          for (const Choice& choice : rank_algorithms(problem, bytes)) {
            const PriceParts parts = parts_of(*choice.algorithm, problem, bytes);
            INFO(text << ", crowding " << crowding << ", " << name_of(problem.collective) << ", " << bytes << ", " << choice.algorithm->name);
            REQUIRE(parts.latency + parts.messages + parts.wire + parts.work == Approx(parts.total));
            REQUIRE(std::min({parts.latency, parts.wire, parts.work}) >= 0);
            REQUIRE(parts.messages > 0);
          }
        }
}

TEST_CASE("explain: the choice is the library's") {
  const Topology topology = Topology::synthetic("host:4 core:2").value();
  for (size_t bytes : {size_t{0}, size_t{8}, size_t{4096}, size_t{1} << 20, size_t{1} << 26}) {
    bool forced = true;
    const Algorithm* const chosen = choose(problem_of(topology), bytes, forced).value();
    REQUIRE_FALSE(forced);
    REQUIRE(chosen == rank_algorithms(problem_of(topology), deciding_bytes(bytes)).front().algorithm);
    REQUIRE_THAT(explain(problem_of(topology), "some", bytes).value(), Catch::Contains(concat("ranks: ", chosen->name)));
  }
  REQUIRE(deciding_bytes(0) == 0);
  REQUIRE(deciding_bytes(1024) == 1024);
  REQUIRE(deciding_bytes(2047) == 1024);
}

TEST_CASE("explain: a sum that is written where it belongs need not be fetched") {
  const Topology topology = Topology::flat(2);
  Problem problem = problem_of(topology);
  const auto chosen = [&](size_t bytes) { return std::string(select(problem, bytes).value()->name); };
  CHECK(chosen(64 << 10) == "oneshot");
  problem.mapped = true;
  CHECK(chosen(64 << 10) == "twoshot");
  CHECK(chosen(64) == "oneshot");
  CHECK_THAT(explain(problem, "64K", 64 << 10).value(), Catch::Contains("twoshot"));
}

TEST_CASE("explain: TUTTI_ALGO is heard") {
  const Topology topology = Topology::synthetic("host:4 core:2").value(), flat = Topology::flat(4);
  bool forced = false;
  {
    const Algo algo("tree");
    REQUIRE(choose(problem_of(topology), 1 << 20, forced).value()->name == std::string("tree"));
    REQUIRE(forced);
    REQUIRE_THAT(explain(problem_of(topology), "1M", 1 << 20).value(), Catch::Contains("because TUTTI_ALGO says so"));
    REQUIRE(choose(problem_of(topology, Collective::AlltoAll), 1 << 20, forced).ok());  // tree does not serve it
    REQUIRE_FALSE(forced);
  }
  const Algo algo("allreduce:hierarchical");
  REQUIRE_THAT(choose(problem_of(flat), 8, forced).status().text(), Catch::Contains("TUTTI_ALGO: algorithm 'hierarchical' does not serve"));
  REQUIRE(choose(problem_of(topology, Collective::Broadcast), 8, forced).ok());
}

}  // namespace tutti

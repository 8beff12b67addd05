// topology: the text form, its errors, paths, groups and links.
#include "lib/topo/topology.h"

#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "lib/topo/machine.h"
#include "tests/catch.h"

namespace tutti {
namespace {

std::string error_of(const char* text) {
  const Result<Topology> topology = Topology::synthetic(text);
  REQUIRE_FALSE(topology.ok());
  REQUIRE(topology.status().code() == Code::InvalidArgument);
  return topology.status().text();
}

}  // namespace

TEST_CASE("machine: how many share a cache") {
  const auto count = [](const char* text) {
    std::istringstream list(text);
    return processors_in(list);
  };
  CHECK(count("0-1\n") == 2);
  CHECK(count("5\n") == 1);
  CHECK(count("0-3,8,10-11\n") == 7);
  CHECK(count("") == 0);
  // No machine is taken to have more than 16 MiB for each of so many; 32 where nothing is known.
  const size_t most = static_cast<size_t>(std::max(2L, sysconf(_SC_NPROCESSORS_CONF))) * (size_t{16} << 20);
  CHECK(last_cache_bytes() > 0);
  CHECK(last_cache_bytes() <= most);
}

TEST_CASE("topology: flat") {
  const Topology one = Topology::flat(1), four = Topology::flat(4);
  REQUIRE(one.ranks() == 1);
  REQUIRE(one.splits().empty());
  REQUIRE(four.ranks() == 4);
  REQUIRE(four.divergence(1, 3) == 0);
  REQUIRE(four.divergence(2, 2) == 1);
  REQUIRE(four.splits().size() == 1);
  REQUIRE(four.splits()[0].places == 4);
  REQUIRE(four.link(0, 1).bandwidth_Bps > 0);
}

TEST_CASE("topology: even levels") {
  const Topology topology = Topology::synthetic("rack:2 host:4 core:8").value();
  REQUIRE(topology.ranks() == 64);
  REQUIRE(topology.levels().size() == 3);
  REQUIRE(topology.divergence(0, 63) == 0);
  REQUIRE(topology.divergence(0, 8) == 1);
  REQUIRE(topology.divergence(0, 7) == 2);
  REQUIRE(topology.link(0, 8).latency_s == topology.levels()[1].link.latency_s);
  REQUIRE(topology.groups(0).size() == 2);
  REQUIRE(topology.groups(1).size() == 8);
  REQUIRE(topology.groups(2).size() == 64);
  REQUIRE(topology.groups(1)[1] == std::vector<int>{8, 9, 10, 11, 12, 13, 14, 15});
  REQUIRE(topology.splits()[1].fan == 4);
  REQUIRE(topology.splits()[1].size == 8);
  REQUIRE(topology.splits()[1].places == 8);
}

TEST_CASE("topology: uneven levels") {
  const Topology topology = Topology::synthetic("  host:3 core:2+3+1 ").value();
  REQUIRE(topology.groups(0) == std::vector<std::vector<int>>{{0, 1}, {2, 3, 4}, {5}});
  REQUIRE(Topology::synthetic("rack:2 host:1+2 core:1+2+3").value().ranks() == 6);
}

TEST_CASE("topology: levels that part nobody are no splits") {
  const Topology topology = Topology::synthetic("rack:1 host:2 numa:1 core:3").value();
  REQUIRE(topology.levels().size() == 4);
  REQUIRE(topology.splits().size() == 2);
  REQUIRE(topology.splits()[0].level == 1);
}

TEST_CASE("topology: paths with any numbers") {
  const Topology topology =
      Topology::from_paths({{"host", {1e-5, 1e9}}, {"core", {1e-7, 1e10}}}, {{900, 7}, {5, 7}, {900, 8}, {5, 7}, {900, 7}});
  REQUIRE(topology.groups(0) == std::vector<std::vector<int>>{{0, 2, 4}, {1, 3}});
  REQUIRE(topology.divergence(0, 1) == 0);
  REQUIRE(topology.divergence(0, 4) == 1);  // on one core, and still two ranks
  REQUIRE(topology.link(1, 3).latency_s == 1e-7);
  REQUIRE(topology.splits()[1].size == 1);
}

TEST_CASE("topology: errors name the word") {
  using Catch::Contains;
  REQUIRE_THAT(error_of(""), Contains("no level"));
  REQUIRE_THAT(error_of("host:2 core"), Contains("'core'"));
  REQUIRE_THAT(error_of(":3"), Contains("':3'"));
  REQUIRE_THAT(error_of("host:0"), Contains("'host:0'"));
  REQUIRE_THAT(error_of("host:2x"), Contains("'2x'"));
  REQUIRE_THAT(error_of("host:-1"), Contains("'-1'"));
  REQUIRE_THAT(error_of("host:2 core:1+"), Contains("''"));
  REQUIRE_THAT(error_of("host:2 core:1+2+3"), Contains("3 counts for 2 places"));
  REQUIRE_THAT(error_of("host:2 host:2"), Contains("twice"));
  REQUIRE_THAT(error_of("shelf:2"), Contains("unknown level 'shelf'"));
  REQUIRE_THAT(error_of("host:65536 core:2"), Contains("more than"));
  REQUIRE_THAT(error_of("host:99999999999"), Contains("99999999999"));
}

TEST_CASE("topology: uplinks of their own") {
  const std::vector<Topology::Uplink> slow{{2, 0, {1e-3, 1e6}}};
  // Rank 2 sits with rank 0: the uplink is the host's, for both.
  const Topology topology = Topology::from_paths({{"host", {1e-5, 1e9}}, {"core", {1e-7, 1e10}}}, {{1, 0}, {2, 0}, {1, 0}, {3, 0}}, slow);
  REQUIRE(topology.uplink(0, 0).bandwidth_Bps == 1e6);
  REQUIRE(topology.uplink(1, 0).bandwidth_Bps == 1e9);
  REQUIRE(topology.link(0, 2).latency_s == 1e-7);
  REQUIRE(topology.link(3, 0).latency_s == 1e-3);
  REQUIRE(topology.link(3, 1).latency_s == 1e-5);
  REQUIRE(topology.splits()[0].link.bandwidth_Bps == 1e6);
  REQUIRE(topology.place_in_all(3, 0) == 2);
  REQUIRE(topology.place_in_all(3, 1) == 3);
}

}  // namespace tutti

// groups: clusters from measurements made by hand, with the noise of a busy machine.
#include "tools/topo/groups.h"

#include <random>

#include "tests/catch.h"

namespace tutti {
namespace {

// What lies between places[i] and places[j], whose first letter is the site, the first two the rack.
Measured measure(const std::vector<std::string>& places, double noise) {
  const size_t n = places.size();
  Measured measured{Matrix(n, std::vector<double>(n)), Matrix(n, std::vector<double>(n))};
  std::mt19937 random(7);
  std::uniform_real_distribution<double> off(1, 1 + noise);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) {
      const bool site = places[i][0] == places[j][0], rack = site && places[i][1] == places[j][1];
      measured.latency_s[i][j] = (rack ? 20e-6 : site ? 25e-6 : 3e-3) * off(random);
      measured.bps[i][j] = (rack ? 1e9 : site ? 250e6 : 100e6) / off(random);
    }
  return measured;
}

std::vector<Cluster::Host> hosts(size_t count) {
  std::vector<Cluster::Host> hosts;
  for (size_t i = 0; i < count; ++i) {
    Cluster::Host host{concat("h", i)};
    host.nics = {{"eth0", 0}};
    hosts.push_back(host);
  }
  return hosts;
}

}  // namespace

TEST_CASE("groups: equal hosts are in no rack") {
  const Cluster cluster = cluster_of(measure({"aa", "aa", "aa"}, 0.25), hosts(3));
  REQUIRE(cluster.racks.empty());
  REQUIRE(cluster.hosts[0].rack == -1);
  REQUIRE(cluster.hosts[0].nics[0].bps == Approx(1e9).epsilon(0.25));
  REQUIRE(cluster.hosts[2].latency_s.value() == Approx(20e-6).epsilon(0.25));
  REQUIRE(cluster_of(measure({"aa", "ab"}, 0), hosts(2)).racks.empty());  // two hosts: nobody can tell
}

TEST_CASE("groups: racks behind slow uplinks, dealt") {
  const Cluster cluster = cluster_of(measure({"aa", "ab", "aa", "ab", "ac"}, 0.25), hosts(5));
  REQUIRE(cluster.racks.size() == 3);
  REQUIRE(cluster.sites.empty());
  const std::vector<int> expected{0, 1, 0, 1, 2};
  for (size_t i = 0; i < 5; ++i) REQUIRE(cluster.hosts[i].rack == expected[i]);
  REQUIRE_FALSE(cluster.hosts[4].latency_s);  // there is no other host in its rack
  REQUIRE(cluster.racks[0].latency_s.value() == Approx(25e-6).epsilon(0.25));
  // What is written can be read, and says the same.
  const ClusterReading reading = parse_cluster(text_of(cluster));
  REQUIRE(reading.mistakes.empty());
  REQUIRE(reading.cluster.hosts[3].rack == 1);
}

TEST_CASE("groups: sites of racks") {
  const Cluster cluster = cluster_of(measure({"aa", "ab", "ba", "aa", "bb", "bb", "ba", "ab"}, 0.2), hosts(8));
  REQUIRE(cluster.racks.size() == 4);
  REQUIRE(cluster.sites.size() == 2);
  const std::vector<int> expected{0, 0, 1, 1};
  for (size_t i = 0; i < 4; ++i) REQUIRE(cluster.racks[i].site == expected[i]);
  REQUIRE(cluster.sites[1].latency_s.value() == Approx(3e-3).epsilon(0.2));
}

}  // namespace tutti

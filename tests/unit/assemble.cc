// assemble: topologies from whereabouts made by hand, from files, and from words; and who shares cores.
#include "lib/topo/assemble.h"

#include <algorithm>
#include <random>

#include "tests/catch.h"
#include "tests/harness/temporary.h"

namespace tutti {
namespace {

using Catch::Contains;
using Groups = std::vector<std::vector<int>>;

const HostLink kHostLink{{150e-9, 25e9}, true};

Whereabouts on(const std::string& host, CpuMask cpus = {~uint64_t{0}}) {
  Whereabouts rank;
  rank.boot_id = "boot-of-" + host;
  rank.network = 1;
  rank.host = host;
  rank.cpus = std::move(cpus);
  return rank;
}

Whereabouts bound(const std::string& host, std::array<int, kInsides> inside) {
  Whereabouts rank = on(host);
  rank.inside = inside;
  return rank;
}

Cluster cluster_of(const char* text) {
  const ClusterReading reading = parse_cluster(text);
  REQUIRE(reading.mistakes.empty());
  return reading.cluster;
}

Topology topology_of(const std::vector<Whereabouts>& ranks, const Cluster* cluster = nullptr) {
  return assemble(ranks, cluster, kHostLink).value();
}

std::vector<std::string> names_of(const Topology& topology) {
  std::vector<std::string> names;
  for (const Topology::Level& level : topology.levels()) names.push_back(level.name);
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("assemble: one host, ranks bound to nothing or to cores of one cache, is flat") {
  const Topology flat = Topology::flat(3, kHostLink.link);
  REQUIRE(hash_of(topology_of({on("a"), on("a"), on("a")})) == hash_of(flat));
  const std::vector<Whereabouts> cores{bound("a", {0, 0, 0, 0}), bound("a", {0, 0, 0, 1}), bound("a", {0, 0, 0, 2})};
  REQUIRE(hash_of(topology_of(cores)) == hash_of(flat));
  REQUIRE(hash_of(topology_of({on("a")})) == hash_of(Topology::flat(1, kHostLink.link)));
}

TEST_CASE("assemble: one host, ranks on several sockets") {
  std::vector<Whereabouts> ranks{bound("a", {0, 0, 0, 0}), bound("a", {8, 8, 8, 8}), bound("a", {0, 0, 0, 1}), bound("a", {8, 8, 8, 9})};
  const Topology topology = topology_of(ranks);
  REQUIRE(names_of(topology) == Names{"socket", "core"});
  REQUIRE(topology.groups(0) == Groups{{0, 2}, {1, 3}});
  REQUIRE(topology.levels()[0].memory);
  REQUIRE(topology.link(0, 2).latency_s == kHostLink.link.latency_s);
  REQUIRE(topology.link(0, 1).latency_s == Topology::known_level("socket").link.latency_s);
  // One that may run on both is on none: then nothing can be said of this host.
  ranks[3].inside = {-1, -1, -1, -1};
  REQUIRE(names_of(topology_of(ranks)) == Names{"core"});
}

TEST_CASE("assemble: a host of two NUMA nodes and one whose ranks run anywhere") {
  const std::vector<Whereabouts> ranks{bound("a", {0, 0, -1, -1}), bound("a", {0, 4, -1, -1}), on("b"), on("b")};
  const Topology topology = topology_of(ranks);
  REQUIRE(names_of(topology) == Names{"host", "numa", "core"});
  REQUIRE(topology.groups(1) == Groups{{0}, {1}, {2, 3}});
}

TEST_CASE("assemble: ranks dealt at random over four hosts find together") {
  std::mt19937 random(4);
  for (int round = 0; round < 20; ++round) {
    std::vector<int> deal{0, 0, 1, 1, 2, 2, 3, 3};
    std::shuffle(deal.begin(), deal.end(), random);
    std::vector<Whereabouts> ranks;
    for (int host : deal) ranks.push_back(on(concat("n", host)));
    const Topology topology = topology_of(ranks);
    REQUIRE(names_of(topology) == Names{"host", "core"});
    REQUIRE_FALSE(topology.levels()[0].memory);
    REQUIRE(topology.levels()[1].memory);
    REQUIRE(topology.splits()[0].places == 4);
    REQUIRE(topology.splits()[0].size == 2);
    for (int a = 0; a < 8; ++a)
      for (int b = 0; b < 8; ++b)
        if (a != b) REQUIRE((topology.divergence(a, b) == 1) == (deal[static_cast<size_t>(a)] == deal[static_cast<size_t>(b)]));
  }
}

TEST_CASE("assemble: network namespaces of one machine are hosts, and share its cores") {
  std::vector<Whereabouts> ranks{on("a", {3}), on("a", {3}), on("a", {3})};
  ranks[1].network = 2;
  REQUIRE(names_of(topology_of({ranks[0], ranks[1]})) == Names{"host", "core"});
  REQUIRE(crowding(std::vector{ranks[0], ranks[1]}) == std::vector<double>{0, 0});
  REQUIRE(crowding(ranks) == std::vector<double>{1.5, 1.5, 1.5});
  const Topology topology = topology_of(ranks);
  REQUIRE(topology.link(0, 2).latency_s == Approx(kSwitchSeconds * 1.5));
  REQUIRE(topology.link(0, 2).bandwidth_Bps == kHostLink.link.bandwidth_Bps);
  REQUIRE(topology.crowding() == 1.5);
  // Nothing but the kernel is between them; to another machine there is more.
  REQUIRE(topology.link(0, 1).latency_s < Topology::known_level("host").link.latency_s);
  REQUIRE(topology_of({ranks[0], on("b")}).link(0, 1).latency_s == Topology::known_level("host").link.latency_s);
}

TEST_CASE("assemble: who shares cores with whom") {
  // b has more than 64 CPUs and room; what c may use is unknown.
  const std::vector<Whereabouts> ranks{on("a", {1}), on("b", {0, 1}), on("a", {1}), on("b", {1}), on("c", {}), on("c", {})};
  REQUIRE(crowding(ranks) == std::vector<double>{2, 0, 2, 0, 0, 0});
}

TEST_CASE("assemble: NICs that were found make the hosts' links") {
  std::vector<Whereabouts> ranks{on("a"), on("b"), on("a")};
  ranks[0].nics_bps = 16e9;
  const Topology topology = topology_of(ranks);
  REQUIRE(topology.uplink(0, 0).bandwidth_Bps == 2e9);
  REQUIRE(topology.uplink(1, 0).bandwidth_Bps == Topology::known_level("host").link.bandwidth_Bps);
}

TEST_CASE("assemble: a file gives hosts their racks and links") {
  const Cluster cluster = cluster_of(R"(rack r0 uplink=400Mbit latency=90us
rack r1
host a rack=r0 nic=800Mbit
host b rack=r0 nic=800Mbit latency=70us
host c rack=r1 nic=800Mbit nic=800Mbit
host d rack=r1 nic=8Gbit
host e rack=r1)");
  const std::vector<Whereabouts> ranks{on("d.example.org"), on("b"), on("c"), on("a"), on("c")};
  const Topology topology = topology_of(ranks, &cluster);
  REQUIRE(names_of(topology) == Names{"rack", "host", "core"});
  REQUIRE(topology.groups(0) == Groups{{0, 2, 4}, {1, 3}});
  REQUIRE(topology.groups(1) == Groups{{0}, {1}, {2, 4}, {3}});
  REQUIRE(topology.uplink(1, 0).bandwidth_Bps == 50e6);
  REQUIRE(topology.uplink(1, 0).latency_s == Approx(90e-6));
  // Nothing stated: as much as c and d can send; e is not of the party. c's second NIC finds no partner.
  REQUIRE(topology.uplink(0, 0).bandwidth_Bps == 1.1e9);
  REQUIRE(topology.uplink(2, 1).bandwidth_Bps == 100e6);
  REQUIRE(topology.uplink(1, 1).latency_s == Approx(70e-6));
  // Alone of its rack, a sends what its NIC can.
  const Topology two = topology_of({on("c"), on("d")}, &cluster);
  REQUIRE(names_of(two) == Names{"host", "core"});
}

TEST_CASE("assemble: rails are the NICs that all hosts have, or the first of each") {
  const Cluster cluster = cluster_of("host a nic=8Gbit nic=800Mbit\nhost b nic=8Gbit nic=1.6Gbit nic=8Gbit\nhost c nic=p0:4Gbit nic=p1:4Gbit");
  const Topology two = topology_of({on("a"), on("b")}, &cluster), three = topology_of({on("a"), on("b"), on("c")}, &cluster);
  REQUIRE(two.uplink(0, 0).bandwidth_Bps == 1.1e9);
  REQUIRE(two.uplink(1, 0).bandwidth_Bps == 1.2e9);
  REQUIRE(three.uplink(1, 0).bandwidth_Bps == 1e9);
  REQUIRE(three.uplink(2, 0).bandwidth_Bps == 0.5e9);
}

TEST_CASE("a host is found by its name, or by that and a domain") {
  const Cluster cluster = cluster_of("host a.example.org\nhost b\nhost c.example.org\nhost c.example.net");
  const HostNames names(cluster);
  REQUIRE(names.find("a") == 0);
  REQUIRE(names.find("b.example.org") == 1);
  REQUIRE(names.find("c.example.net") == 3);
  REQUIRE(names.find("c") == 3);
  REQUIRE(!names.find("a.example.net"));
}

TEST_CASE("assemble: sites, and what is in none") {
  const Cluster cluster = cluster_of(R"(site s uplink=1Gbit latency=3ms
rack r0 site=s
rack r1
host a rack=r0 nic=10Gbit
host b rack=r0 nic=10Gbit
host c rack=r1 nic=10Gbit
host d nic=100Mbit)");
  const Topology topology = topology_of({on("a"), on("b"), on("c"), on("d")}, &cluster);
  REQUIRE(names_of(topology) == Names{"site", "host", "core"});
  REQUIRE(topology.groups(0) == Groups{{0, 1}, {2}, {3}});
  REQUIRE(topology.uplink(0, 0).bandwidth_Bps == 125e6);
  REQUIRE(topology.uplink(0, 0).latency_s == Approx(3e-3));
  REQUIRE(topology.uplink(3, 0).bandwidth_Bps == 12.5e6);
  REQUIRE(topology.uplink(3, 0).latency_s == Topology::known_level("site").link.latency_s);
}

TEST_CASE("assemble: a host that is not in the file") {
  const Cluster cluster = cluster_of("host a\nhost b\n");
  const Result<Topology> topology = assemble(std::vector{on("a"), on("a"), on("q")}, &cluster, kHostLink);
  REQUIRE(topology.status().code() == Code::InvalidArgument);
  REQUIRE_THAT(topology.status().text(), Contains("'q' of rank 2 is not in the topology file, which has a, b"));
  // Within one host the file has nothing to say.
  REQUIRE(assemble(std::vector{on("q"), on("q")}, &cluster, kHostLink).ok());
}

TEST_CASE("assemble: a file alone") {
  const Topology topology = assemble(cluster_of("host a ranks=3 nic=1Gbit\nhost b ranks=0\nhost c ranks=2 nic=1Gbit")).value();
  REQUIRE(topology.groups(0) == Groups{{0, 1, 2}, {3, 4}});
  REQUIRE(topology.uplink(4, 0).bandwidth_Bps == 125e6);
  REQUIRE_THAT(assemble(cluster_of("host a ranks=0")).status().text(), Contains("no ranks"));
  REQUIRE_THAT(assemble(cluster_of("host n[0-1] ranks=65536")).status().text(), Contains("more than 65536"));
}

TEST_CASE("assemble: an argument is a file or a text") {
  test::TemporaryFile file("host a ranks=2\nhost b ranks=2\n");
  const std::string path = file.path();
  REQUIRE(topology_of_argument(path).value().ranks() == 4);
  file.write("host a\nhots b\n");
  REQUIRE_THAT(topology_of_argument(path).status().text(), Contains(path + ":2: 'hots'"));
  file.remove();
  REQUIRE_THAT(topology_of_argument(path).status().text(), Contains("cannot be read"));
  REQUIRE(topology_of_argument("host:2 core:3").value().ranks() == 6);
  REQUIRE_THAT(topology_of_argument("clustre.txt").status().text(), Contains("nor is there a file"));
}

TEST_CASE("assemble: the hash sees every difference") {
  const Cluster slow = cluster_of("host a nic=1Gbit\nhost b nic=1Gbit"), fast = cluster_of("host a nic=1Gbit\nhost b nic=2Gbit"),
                late = cluster_of("host a nic=1Gbit\nhost b nic=1Gbit latency=21us");
  const std::vector<Whereabouts> ranks{on("a"), on("b"), on("b")}, others{on("a"), on("a"), on("b")};
  const uint64_t hash = hash_of(topology_of(ranks, &slow));
  REQUIRE(hash == hash_of(topology_of(ranks, &slow)));
  REQUIRE(hash != hash_of(topology_of(ranks, &fast)));
  REQUIRE(hash != hash_of(topology_of(ranks, &late)));
  REQUIRE(hash != hash_of(topology_of(others, &slow)));
}

TEST_CASE("whereabouts: of this thread, and through a message") {
  const Whereabouts here = whereabouts_here().value();
  REQUIRE_FALSE(here.boot_id.empty());
  REQUIRE(here.network != 0);
  REQUIRE_FALSE(here.cpus.empty());
  Whereabouts full = here;
  full.inside = {0, 4, -1, 5};
  full.cpus = {0, ~uint64_t{0}};
  const std::string text = text_of(full);
  const Whereabouts again = parse_whereabouts(text).value();
  REQUIRE(text_of(again) == text);
  REQUIRE(again.same_host(here));
  REQUIRE(again.cpus == full.cpus);
  REQUIRE(again.inside == full.inside);
  for (size_t cut = 0; cut + 1 < text.size(); cut += 7) REQUIRE_FALSE(parse_whereabouts(text.substr(0, cut)).ok());
  REQUIRE_FALSE(parse_whereabouts(text + " 1").ok());
  REQUIRE_FALSE(parse_whereabouts("a 1 b 0 0 0 0 99999999 1").ok());
  REQUIRE(parse_whereabouts("a 1 b 0 0 0 0 0 .").ok());
  REQUIRE_FALSE(parse_whereabouts("a 01 b 0 0 0 0 0 .").ok());
}

}  // namespace tutti

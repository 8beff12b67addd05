// topology_file: the file a person writes: what it means, and that every mistake is told with its line.
#include <ctime>

#include "lib/topo/file.h"
#include "tests/catch.h"

namespace tutti {
namespace {

using Catch::Contains;

constexpr const char* kTwoRacks = R"(# two racks of two
site s0 uplink=1Gbit latency=5ms
rack r[0-1] site=s0 uplink=125Mbit latency=50us   # shared
host a rack=r0 nic=500Mbit ranks=2
host b rack=r0 nic=ib0:2.5Gbit nic=500Mbit latency=20us
host n[08-10] rack=r1
)";

std::vector<Diagnostic> mistakes_of(const std::string& text) { return parse_cluster(text).mistakes; }

// The only mistake of one line, that follows two right ones.
std::string mistake_of(const std::string& line) {
  const std::vector<Diagnostic> mistakes = mistakes_of("rack r0\nhost a rack=r0\n" + line + "\n");
  INFO(line);
  REQUIRE(mistakes.size() == 1);
  REQUIRE(mistakes[0].line == 3);
  return mistakes[0].text;
}

}  // namespace

TEST_CASE("topology file: what it says") {
  const ClusterReading reading = parse_cluster(kTwoRacks);
  REQUIRE(reading.mistakes.empty());
  REQUIRE(reading.hints.size() == 3);  // a and b have no NIC of the same name
  REQUIRE(reading.hints[1].line == 5);
  REQUIRE_THAT(reading.hints[1].text, Contains("'b' has a NIC 'ib0', others have not"));
  const Cluster& cluster = reading.cluster;
  REQUIRE(cluster.sites.size() == 1);
  REQUIRE(cluster.sites[0].latency_s.value() == Approx(5e-3));
  REQUIRE(cluster.racks.size() == 2);
  REQUIRE(cluster.racks[1].name == "r1");
  REQUIRE(cluster.racks[1].site == 0);
  REQUIRE(cluster.racks[1].uplink_bps.value() == 125e6);
  REQUIRE(cluster.hosts.size() == 5);
  REQUIRE(cluster.hosts[0].ranks == 2);
  REQUIRE(cluster.hosts[0].nics.size() == 1);
  REQUIRE(cluster.hosts[0].nics[0].name == "eth0");
  REQUIRE(cluster.hosts[0].nics[0].bps == 500e6);
  REQUIRE_FALSE(cluster.hosts[0].latency_s);
  REQUIRE(cluster.hosts[1].nics[0].name == "ib0");
  REQUIRE(cluster.hosts[1].nics[0].bps == 2.5e9);
  REQUIRE(cluster.hosts[1].nics[1].name == "eth1");
  REQUIRE(cluster.hosts[2].name == "n08");
  REQUIRE(cluster.hosts[4].name == "n10");
  REQUIRE(cluster.hosts[4].rack == 1);
  REQUIRE(cluster.hosts[4].nics.empty());
}

TEST_CASE("topology file: names may come before their declaration, lines may end as they like") {
  const ClusterReading reading = parse_cluster("host a rack=r\r\n\n\t\nrack r site=s\nsite s");
  REQUIRE(reading.mistakes.empty());
  REQUIRE(reading.cluster.hosts[0].rack == 0);
  REQUIRE(reading.cluster.racks[0].site == 0);
}

TEST_CASE("topology file: a cluster written is the cluster read") {
  const Cluster cluster = parse_cluster(kTwoRacks).cluster;
  const std::string text = text_of(cluster);
  const ClusterReading again = parse_cluster(text);
  REQUIRE(again.mistakes.empty());
  REQUIRE(text_of(again.cluster) == text);
  REQUIRE_THAT(text, Contains("rack r1 site=s0 uplink=125Mbit latency=50us\n"));
  REQUIRE_THAT(text, Contains("host b rack=r0 nic=ib0:2.5Gbit nic=eth1:500Mbit latency=20us\n"));
}

TEST_CASE("topology file: unusual numbers are read as they were written") {
  const Cluster cluster = parse_cluster(
      "host a nic=1.2345678901234567Gbit nic=0.0000001bit nic=999.9999999999995Mbit latency=0.00000000000000000001s\n"
      "host b nic=999999999999999.9bit latency=123.4567890123456789us").cluster;
  REQUIRE(cluster.hosts.size() == 2);
  REQUIRE(parse_cluster(text_of(cluster)).cluster == cluster);
}

TEST_CASE("topology file: quantities as text") {
  REQUIRE(text_of_rate(1e9) == "1Gbit");
  REQUIRE(text_of_rate(999e6) == "999Mbit");
  REQUIRE(text_of_rate(1.5) == "1.5bit");
  REQUIRE(text_of_time(20e-6) == "20us");
  REQUIRE(text_of_time(1e-3) == "1ms");
  REQUIRE(text_of_time(0) == "0ns");
}

TEST_CASE("topology file: every mistake names what is wrong") {
  REQUIRE_THAT(mistake_of("hots b"), Contains("'hots' is not a statement"));
  REQUIRE_THAT(mistake_of("host"), Contains("needs a name"));
  REQUIRE_THAT(mistake_of("host b!"), Contains("'b!' is not a name"));
  REQUIRE_THAT(mistake_of("host a"), Contains("'a' is declared twice; first in line 2"));
  REQUIRE_THAT(mistake_of("host b rack=r7"), Contains("rack 'r7' is not declared"));
  REQUIRE_THAT(mistake_of("host b rack="), Contains("needs a name"));
  REQUIRE_THAT(mistake_of("host b rack=r0 rack=r0"), Contains("'rack' is given twice"));
  REQUIRE_THAT(mistake_of("host b nic"), Contains("'nic' is not of the form key=value"));
  REQUIRE_THAT(mistake_of("host b nic=500"), Contains("'500' is not a rate"));
  REQUIRE_THAT(mistake_of("host b nic=0Gbit"), Contains("'0Gbit' is not a rate"));
  REQUIRE_THAT(mistake_of("host b nic=infGbit"), Contains("'infGbit' is not a rate"));
  REQUIRE_THAT(mistake_of("host b nic=-1Gbit"), Contains("'-1Gbit' is not a rate"));
  REQUIRE_THAT(mistake_of("host b nic=1Gbit/s"), Contains("'1Gbit/s' is not a rate"));
  REQUIRE_THAT(mistake_of("host b nic=much_too_long_a_name:1Gbit"), Contains("no name for an interface"));
  REQUIRE_THAT(mistake_of("host b nic=eth1:1Gbit nic=1Gbit"), Contains("a NIC 'eth1' already"));
  REQUIRE_THAT(mistake_of("host b latency=20"), Contains("'20' is not a time"));
  REQUIRE_THAT(mistake_of("host b latency=2000s"), Contains("'2000s' is not a time"));
  REQUIRE_THAT(mistake_of("host b ranks=two"), Contains("ranks='two'"));
  REQUIRE_THAT(mistake_of("host b ranks=-1"), Contains("ranks='-1'"));
  REQUIRE_THAT(mistake_of("host b uplink=1Gbit"), Contains("a host has no 'uplink' (known: rack, nic, latency, ranks)"));
  REQUIRE_THAT(mistake_of("rack r1 nic=1Gbit"), Contains("a rack has no 'nic'"));
  REQUIRE_THAT(mistake_of("rack r1 uplink=fast"), Contains("uplink='fast'"));
  REQUIRE_THAT(mistake_of("site s rack=r0"), Contains("a site has no 'rack'"));
  REQUIRE_THAT(mistake_of("host n[3-1]"), Contains("not a range of names"));
  REQUIRE_THAT(mistake_of("host n[0-"), Contains("not a range of names"));
  REQUIRE_THAT(mistake_of("host n]0-1["), Contains("not a range of names"));
  REQUIRE_THAT(mistake_of("host n[0-1][0-1]"), Contains("not a range of names"));
  REQUIRE_THAT(mistake_of("host n[0-99999]"), Contains("more than 65536 names of 'host'"));
  REQUIRE_THAT(mistake_of("host n[0-4294967295]"), Contains("more than 65536 names of 'host'"));
  REQUIRE_THAT(mistake_of("host b latency=-0s"), Contains("'-0s' is not a time"));
}

TEST_CASE("topology file: ranges of names") {
  const auto names_of = [](const std::string& word) {
    std::string names;
    const ClusterReading reading = parse_cluster("host " + word);
    for (const Cluster::Host& host : reading.cluster.hosts) names += host.name + " ";
    return names;
  };
  REQUIRE(names_of("n[8-11]") == "n8 n9 n10 n11 ");
  REQUIRE(names_of("n[08-11]x") == "n08x n09x n10x n11x ");
  REQUIRE(names_of("[0-0]") == "0 ");
  const std::string long_name(254, 'n');
  REQUIRE(names_of(long_name + "[8-9]") == long_name + "8 " + long_name + "9 ");
  REQUIRE(names_of(long_name + "[8-10]").empty());
  REQUIRE(names_of("n[" + std::string(300, '0') + "-1]").empty());
}

TEST_CASE("topology file: the largest number of places is read quickly") {
  const std::clock_t begin = std::clock();
  const ClusterReading reading = parse_cluster("site s[0-65535]\nrack r[0-65535]\nhost h[0-65535]");
  REQUIRE(std::clock() - begin < 20 * CLOCKS_PER_SEC);  // it takes far less; comparing every name with every other takes a minute
  REQUIRE(reading.mistakes.empty());
  REQUIRE(reading.cluster.hosts.size() == 65536);
  REQUIRE(reading.hints.size() == kMaxDiagnostics);
  REQUIRE(reading.more_hints == 4 * 65536 - kMaxDiagnostics);  // hints: a site without racks, a rack without hosts, a rack without site, a host without rack
  REQUIRE(parse_cluster(text_of(reading.cluster)).cluster == reading.cluster);
}

TEST_CASE("topology file: a file beyond the limits is a mistake") {
  std::string text;
  for (int i = 0; i < 250; ++i) text += "host n[0-65535]\n";
  ClusterReading reading = parse_cluster(text);
  REQUIRE(reading.mistakes.size() == kMaxDiagnostics);
  REQUIRE(reading.more_mistakes == 249 - kMaxDiagnostics);
  REQUIRE(reading.mistakes[0].line == 2);
  REQUIRE_THAT(reading.mistakes[0].text, Contains("more than 65536 names of 'host'"));

  text.clear();
  for (int i = 0; i < 250; ++i) text += "host a\n";
  reading = parse_cluster(text);
  REQUIRE(reading.mistakes.size() == kMaxDiagnostics);
  REQUIRE(reading.more_mistakes == 249 - kMaxDiagnostics);
  REQUIRE_THAT(reading.mistakes[0].text, Contains("declared twice"));

  std::string nics;
  for (int i = 0; i < 9; ++i) nics += " nic=1bit";
  REQUIRE_THAT(mistake_of("host n[0-65530]" + nics), Contains("more than 524288 NICs in all"));
  const std::string long_name(250, 'n');
  const std::string racks = "rack " + long_name + "[0-65535]\nhost a\n";
  REQUIRE(parse_cluster(racks).mistakes.empty());
  reading = parse_cluster(racks + "site " + long_name + "[0-999]");
  REQUIRE(reading.mistakes.size() == 1);
  REQUIRE_THAT(reading.mistakes[0].text, Contains("longer than 16 MiB"));
}

TEST_CASE("topology file: a diagnostic on a long word is short") {
  REQUIRE(mistake_of("host b " + std::string(100'000, 'x')).size() < 600);
}

TEST_CASE("topology file: all mistakes at once, by line") {
  const std::vector<Diagnostic> mistakes = mistakes_of("host a rack=r9\nhots b\nhost c nic=1 latency=1\n");
  REQUIRE(mistakes.size() == 4);
  for (size_t i = 1; i < mistakes.size(); ++i) REQUIRE(mistakes[i - 1].line <= mistakes[i].line);
  REQUIRE_THAT(mistakes[0].text, Contains("'r9'"));
  REQUIRE(mistakes_of("").size() == 1);
  REQUIRE_THAT(mistakes_of("# nothing\n")[0].text, Contains("no host"));
}

TEST_CASE("topology file: what is right and hardly meant is a hint") {
  const ClusterReading reading = parse_cluster("rack r0\nrack r1\nhost a rack=r0\nhost b\n");
  REQUIRE(reading.mistakes.empty());
  REQUIRE(reading.hints.size() == 2);
  REQUIRE(reading.hints[0].line == 2);
  REQUIRE_THAT(reading.hints[0].text, Contains("'r1' has no host"));
  REQUIRE(reading.hints[1].line == 4);
  REQUIRE_THAT(reading.hints[1].text, Contains("'b' is in no rack"));
}

TEST_CASE("topology file: more ranks than can be simulated") {
  REQUIRE(parse_cluster("host a ranks=65536").hints.empty());
  const ClusterReading reading = parse_cluster("host a\nhost n[0-65534] ranks=65536\n");
  REQUIRE(reading.mistakes.empty());
  REQUIRE(reading.cluster.ranks() == 65535u * 65536 + 1);
  REQUIRE(reading.hints.size() == 1);
  REQUIRE(reading.hints[0].line == 2);
  REQUIRE_THAT(reading.hints[0].text, Contains("4294901761 ranks (ranks= of the hosts) are more than the 65536"));
}

TEST_CASE("topology file: a path that is none") {
  REQUIRE_THAT(Cluster::read("/nowhere/cluster.txt").status().text(), Contains("/nowhere/cluster.txt cannot be read"));
}

}  // namespace tutti

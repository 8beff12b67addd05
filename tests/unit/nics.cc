// nics: which interfaces of a host are NICs that carry messages, among made-up ones and here; and to which RDMA ports they belong.
#include "lib/topo/nics.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/catch.h"
#include "tests/harness/temporary.h"

namespace tutti {
namespace {

Interface interface(const std::string& name, const char* ip, const char* mask = "255.255.255.0") {
  Interface made;
  made.name = name;
  made.running = true;
  made.loopback = name == "lo";
  for (const auto& [text, storage] : {std::pair(ip, &made.address), std::pair(mask, &made.mask)}) {
    sockaddr_in in{};
    sockaddr_in6 in6{};
    in.sin_family = AF_INET;
    in6.sin6_family = AF_INET6;
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
      std::memcpy(storage, &in, sizeof in);
    else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
      std::memcpy(storage, &in6, sizeof in6);
    else
      FAIL("no address: " << text);
  }
  return made;
}

Interface without_carrier(Interface interface) {
  interface.running = false;
  return interface;
}

// As nic_bps(): "slow..." has a tenth of what others have, "quiet..." does not say.
double rate_by_name(const std::string& name) { return name.starts_with("quiet") ? 0 : name.starts_with("slow") ? 1e9 : 10e9; }

std::vector<std::string> names_of(const std::vector<Nic>& nics) {
  std::vector<std::string> names;
  for (const Nic& nic : nics) names.push_back(nic.name);
  return names;
}

std::vector<std::string> usual(const std::vector<Interface>& interfaces) { return names_of(usual_nics(interfaces, rate_by_name)); }

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a NIC has a carrier, one entry, and rather an IPv4 address") {
  const std::vector<Interface> interfaces{interface("eth10", "10.0.1.1"), without_carrier(interface("eth3", "10.0.3.1")),
                                          interface("eth2", "fd00::2", "ffff:ffff::"), interface("eth2", "10.0.2.7"),
                                          interface("eth4", "fe80::1", "ffff::")};
  const std::vector<Nic> nics = list_nics(interfaces);
  REQUIRE(names_of(nics) == Names{"eth2", "eth10"});
  CHECK(nics[0].ip == std::string("\x0a\0\2\7", 4));
  CHECK(nics[0].network == std::string("\x0a\0\2\0\xff\xff\xff\0", 8));
}

TEST_CASE("messages travel by proper NICs, by bridges only without those, by loopback only without any") {
  const Interface lo = interface("lo", "127.0.0.1"), bridge = interface("docker0", "172.17.0.1"), eth0 = interface("eth0", "10.0.0.1");
  CHECK(usual({lo, bridge, eth0}) == Names{"eth0"});
  CHECK(usual({lo, bridge, without_carrier(eth0)}) == Names{"docker0"});
  CHECK(usual({lo, without_carrier(bridge)}) == Names{"lo"});
  CHECK(usual({}).empty());
}

TEST_CASE("slow NICs beside fast ones carry nothing; those of unknown rate do") {
  const Interface fast = interface("eth0", "10.0.0.1"), slow = interface("slow0", "10.0.1.1"), quiet = interface("quiet0", "10.0.2.1");
  CHECK(usual({fast, slow, quiet}) == Names{"eth0", "quiet0"});
  CHECK(usual({slow, quiet}) == Names{"slow0", "quiet0"});
  CHECK(usual_bps(usual_nics(std::vector{fast, slow, quiet}, rate_by_name)) == 10e9);
  CHECK(usual_bps({{"a", "", "", false, 1000}, {"b", "", "", false, 499}, {"c", "", "", false, 500}}) == 12000);
  CHECK(usual_bps({}) == 0);
}

TEST_CASE("names of interfaces are admitted by prefix, exactly, or unless excluded") {
  CHECK(admitted("eth10", "eth1"));
  CHECK(!admitted("eth10", "=eth1"));
  CHECK(admitted("eth1", "=eth0,eth1"));
  CHECK(!admitted("docker0", "^docker,lo"));
  CHECK(admitted("eth0", "^docker,lo"));
  CHECK(admitted("eth10", "^=eth1"));
}

TEST_CASE("a name that fits no NIC is refused, and those that are there are named") {
  setenv("TUTTI_NET_IFNAME", "=nosuch0", 1);
  const Result<std::vector<Nic>> chosen = choose_nics(Settings::load().value(), {});
  unsetenv("TUTTI_NET_IFNAME");
  REQUIRE(!chosen.ok());
  CHECK(chosen.status().code() == Code::InvalidArgument);
  for (const char* word : {"TUTTI_NET_IFNAME", "=nosuch0", "lo"}) CHECK_THAT(chosen.status().text(), Catch::Contains(word));
}

TEST_CASE("loopback leads nowhere") {
  for (const std::string filter : {"", "lo", "=lo"})
    for (const Nic& nic : outward_nics(filter)) CHECK(!nic.loopback);
}

TEST_CASE("public addresses are told from private ones") {
  const auto is_public = [](std::string ip) { return Nic{"eth0", "", std::move(ip), false, 0}.is_public(); };
  CHECK(is_public("\x08\x08\x08\x08"));
  CHECK(is_public(std::string("\x20\x01\x0d", 3) + std::string(13, 'x')));
  for (const std::string& ip : {std::string("\x0a\0\0\1", 4), std::string("\xac\x1f\0\1", 4), std::string("\xc0\xa8\0\1", 4),
                               std::string("\x7f\0\0\1", 4), std::string("\x64\x40\0\1", 4),
                               std::string("\xfd", 1) + std::string(15, '\0'), std::string()})
    CHECK(!is_public(ip));
}

TEST_CASE("RDMA ports are found by their NIC") {
  const test::TemporaryFolder folder;
  const auto add = [&](const std::string& device, const std::string& port, const std::string& nic) {
    const std::filesystem::path place = std::filesystem::path(folder.path()) / device / "ports" / port / "gid_attrs/ndevs";
    std::filesystem::create_directories(place);
    if (!nic.empty()) std::ofstream(place / "0") << nic << "\n";
  };
  add("rxe9", "1", "eth0");
  add("dev0", "2", "eth0");
  add("dev0", "1", "eth1");
  add("dev1", "1", "");
  const std::vector<RdmaPort> ports = rdma_ports_of("eth0", folder.path());
  REQUIRE(ports.size() == 2);
  CHECK((ports[0].device == "dev0" && ports[0].port == 2));
  CHECK((ports[1].device == "rxe9" && ports[1].port == 1));
  CHECK(rdma_ports_of("eth", folder.path()).empty());
  CHECK(rdma_ports_of("eth0", "/nowhere").empty());
}

}  // namespace tutti

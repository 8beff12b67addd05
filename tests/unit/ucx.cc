// ucx: which interfaces make a rail; what a rank tells the others, whole and damaged; and that loading the module changes nothing
// in a process that did not ask for it.
#include <dlfcn.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "lib/base/interface.h"
#include "lib/transport/transport.h"
#include "tests/catch.h"
#include "transports/ucx/address.h"

using namespace tutti;
using namespace tutti::ucx;

namespace {

Nic nic(const std::string& name, const std::string& network, const std::string& ip) { return {name, name, network, ip, false, 0}; }

using Rails = std::vector<std::vector<uint32_t>>;

Result<std::unique_ptr<Transport>> open_ucx() {
  static const std::atomic<bool> cancel{false};
  const Result<Settings> settings = Settings::load();
  REQUIRE(settings.ok());
  for (const TransportKind& kind : all_transports())
    if (std::string(kind.name) == "ucx") return kind.create({0, 1, 4096, settings.value(), cancel});
  FAIL("no row for ucx");
  return Status();
}

}  // namespace

TEST_CASE("interfaces in one network make a rail, whatever their names and order", "[ucx]") {
  const std::vector<Whereabouts> ranks{{1, false, {nic("eth0", "A", "A1"), nic("eth1", "B", "B1"), nic("eth2", "C", "C1")}},
                                       {1, false, {nic("eth0", "A", "A1"), nic("eth1", "B", "B1"), nic("eth2", "C", "C1")}},
                                       {2, false, {nic("p0", "B", "B2"), nic("p1", "A", "A2")}}};
  CHECK(match_rails(ranks) == Rails{{0, 0, 1}, {1, 1, 0}});
}

TEST_CASE("hosts with the same address are not joined by that network", "[ucx]") {
  const std::vector<Whereabouts> ranks{{1, false, {nic("br", "P", "P1"), nic("eth0", "A", "A1")}},
                                       {2, false, {nic("br", "P", "P1"), nic("eth0", "A", "A2")}}};
  CHECK(match_rails(ranks) == Rails{{1, 1}});
}

TEST_CASE("hosts in different networks have one rail, or those that all name", "[ucx]") {
  std::vector<Whereabouts> ranks{{1, false, {nic("eth0", "A", "A1"), nic("eth1", "B", "B1")}},
                                 {2, false, {nic("eth0", "C", "C1"), nic("eth1", "D", "D1"), nic("eth2", "E", "E1")}}};
  CHECK(match_rails(ranks) == Rails{{0, 0}});
  ranks[0].named = true;
  CHECK(match_rails(ranks) == Rails{{0, 0}});
  ranks[1].named = true;
  CHECK(match_rails(ranks) == Rails{{0, 0}, {1, 1}});
}

TEST_CASE("those that all name are all used, though one network is common to all", "[ucx]") {
  const std::vector<Whereabouts> ranks{{1, true, {nic("eth0", "A", "A1"), nic("eth1", "B", "B1")}},
                                       {2, true, {nic("eth0", "A", "A2"), nic("eth1", "C", "C1")}}};
  CHECK(match_rails(ranks) == Rails{{0, 0}, {1, 1}});
}

TEST_CASE("messages are dealt over rails by their rates", "[ucx]") {
  const auto counts = [](std::vector<uint64_t> rates) {
    std::vector<int> counts(rates.size());
    for (const uint8_t rail : deal_rails(rates)) ++counts[rail];
    return counts;
  };
  CHECK(counts({5}) == std::vector<int>{64});
  CHECK(counts({5, 5}) == std::vector<int>{32, 32});
  CHECK(counts({300, 100}) == std::vector<int>{48, 16});
  CHECK(counts({0, 100}) == std::vector<int>{32, 32});
  CHECK(counts({100'000, 1}) == std::vector<int>{64, 0});
  const auto deal = deal_rails(std::vector<uint64_t>{300, 100});
  for (uint32_t at = 0; at < kDeal; at += 4) CHECK(std::count(&deal[at], &deal[at] + 4, 1) == 1);
}

TEST_CASE("two interfaces in one network are one rail", "[ucx]") {
  const std::vector<Whereabouts> ranks{{1, false, {nic("eth0", "A", "A1"), nic("eth1", "A", "A2")}},
                                       {2, false, {nic("eth0", "A", "A3"), nic("eth1", "A", "A4")}}};
  CHECK(match_rails(ranks) == Rails{{0, 0}});
}

TEST_CASE("names of interfaces are admitted by prefix, exactly, or unless excluded", "[ucx]") {
  CHECK(admitted("eth10", "eth1"));
  CHECK(!admitted("eth10", "=eth1"));
  CHECK(admitted("eth1", "=eth0,eth1"));
  CHECK(!admitted("docker0", "^docker,lo"));
  CHECK(admitted("eth0", "^docker,lo"));
  CHECK(admitted("eth10", "^=eth1"));
}

TEST_CASE("a rank's address comes back as it was, and damaged not at all", "[ucx]") {
  Contact contact = contact_of_this_process();
  contact.token = 77;
  contact.at.nics = {nic("eth0", "A", "A1"), nic("eth1", std::string("\0B", 2), "")};
  contact.at.nics[1].loopback = true;
  contact.at.nics[1].bytes_per_s = 125'000'000;
  contact.workers = {"worker", std::string(300, '\0')};
  const std::string bytes = to_bytes(contact);
  const Result<Contact> back = to_contact(bytes);
  REQUIRE(back.ok());
  CHECK(to_bytes(back.value()) == bytes);
  CHECK(back.value().at.nics[1].network == contact.at.nics[1].network);
  CHECK(back.value().workers == contact.workers);
  for (size_t length = 0; length < bytes.size(); ++length) CHECK(!to_contact(bytes.substr(0, length)).ok());
  CHECK(!to_contact(bytes + "x").ok());
  // Two bytes stand for true or false: `named`, and `loopback` of the first NIC. Another value is damage.
  for (const size_t at : {size_t{16}, bytes.find("A1") + 2}) {
    REQUIRE(bytes[at] == 0);
    std::string damaged = bytes;
    damaged[at] = 2;
    CHECK(!to_contact(damaged).ok());
  }
}

TEST_CASE("loading UCX leaves the program's signal handlers alone, and is not heard", "[ucx]") {
  struct sigaction mine{};
  mine.sa_handler = [](int) {};
  constexpr int kSignals[] = {SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGHUP, SIGALRM};
  struct sigaction before[6], after[6];
  for (int i = 0; i < 6; ++i) {
    sigaction(kSignals[i], &mine, &before[i]);
  }
  int out[2];
  REQUIRE(pipe(out) == 0);
  const int saved[2] = {dup(1), dup(2)};
  dup2(out[1], 1);
  dup2(out[1], 2);
  const bool opened = open_ucx().ok();
  dup2(saved[0], 1);
  dup2(saved[1], 2);
  close(out[1]);
  char heard[256] = "";
  CHECK(read(out[0], heard, sizeof heard - 1) == 0);
  INFO(heard);
  CHECK(opened);
  for (int i = 0; i < 6; ++i) {
    sigaction(kSignals[i], &before[i], &after[i]);
    CHECK(after[i].sa_handler == mine.sa_handler);
  }
  for (const int fd : {out[0], saved[0], saved[1]}) close(fd);
}

TEST_CASE("UCX listens at a port of TUTTI_PORTS, or opening fails if none is free", "[ucx]") {
  // Takes a free port at all interfaces.
  sockaddr_in any{};
  any.sin_family = AF_INET;
  socklen_t length = sizeof any;
  const int taken = socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE(bind(taken, reinterpret_cast<sockaddr*>(&any), length) == 0);
  REQUIRE(getsockname(taken, reinterpret_cast<sockaddr*>(&any), &length) == 0);
  const std::string port = std::to_string(ntohs(any.sin_port));
  for (const char* name : {"TUTTI_PORTS", "UCX_TCP_PORT_RANGE"}) {
    setenv(name, port.c_str(), 1);
    const Result<std::unique_ptr<Transport>> none = open_ucx();
    unsetenv(name);
    REQUIRE(!none.ok());
    for (const std::string& word : {std::string(name), port}) CHECK_THAT(none.status().text(), Catch::Contains(word));
  }
  close(taken);
  setenv("TUTTI_PORTS", port.c_str(), 1);
  const Result<std::unique_ptr<Transport>> opened = open_ucx();
  unsetenv("TUTTI_PORTS");
  CHECK(opened.status().text() == "");
  const int probe = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(bind(probe, reinterpret_cast<sockaddr*>(&any), length) != 0);
  close(probe);
}

TEST_CASE("public addresses are told from private ones", "[ucx]") {
  const auto is_public = [](std::string ip) { return Nic{"eth0", "", "", std::move(ip), false, 0}.is_public(); };
  CHECK(is_public("\x08\x08\x08\x08"));
  CHECK(is_public(std::string("\x20\x01\x0d", 3) + std::string(13, 'x')));
  for (const std::string& ip : {std::string("\x0a\0\0\1", 4), std::string("\xac\x1f\0\1", 4), std::string("\xc0\xa8\0\1", 4),
                               std::string("\x7f\0\0\1", 4), std::string("\x64\x40\0\1", 4), std::string("\xfd", 1) + std::string(15, '\0'), std::string()})
    CHECK(!is_public(ip));
}

TEST_CASE("an interface that is not there is refused, and those that are there named", "[ucx]") {
  setenv("TUTTI_NET_IFNAME", "=nosuch0", 1);
  const Result<std::unique_ptr<Transport>> opened = open_ucx();
  unsetenv("TUTTI_NET_IFNAME");
  REQUIRE(!opened.ok());
  CHECK(opened.status().code() == Code::InvalidArgument);
  for (const char* word : {"TUTTI_NET_IFNAME", "=nosuch0", "lo"}) CHECK_THAT(opened.status().text(), Catch::Contains(word));
}

// ucx: what UCX's own variables say about NICs and ports; what a rank tells the others, whole and damaged; and that loading the module
// changes nothing in a process that did not ask for it.
#include <dlfcn.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "lib/topo/whereabouts.h"
#include "lib/transport/transport.h"
#include "tests/catch.h"
#include "transports/ucx/address.h"
#include "transports/ucx/environment.h"

using namespace tutti;
using namespace tutti::ucx;

namespace {

Nic nic(const std::string& name, const std::string& network, const std::string& ip) { return {name, network, ip, false, 0}; }

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

TEST_CASE("UCX_NET_DEVICES chooses unless TUTTI_NET_IFNAME does", "[ucx]") {
  REQUIRE(whereabouts_here().ok());
  setenv("UCX_NET_DEVICES", "mlx5_0:1", 1);
  const Result<RankNics> devices = choose_nics_or_devices(Settings::load().value(), {});
  setenv("TUTTI_NET_IFNAME", "=lo", 1);
  const Result<RankNics> named = choose_nics_or_devices(Settings::load().value(), {});
  unsetenv("UCX_NET_DEVICES");
  unsetenv("TUTTI_NET_IFNAME");
  REQUIRE(devices.ok());
  REQUIRE(devices.value().nics.size() == 1);
  CHECK(devices.value().nics[0].name == "mlx5_0:1");
  CHECK(!devices.value().named);
  CHECK(devices_of(devices.value().nics[0]) == "");
  REQUIRE(named.ok());
  REQUIRE(named.value().nics.size() == 1);
  CHECK(named.value().named);
  CHECK(devices_of(named.value().nics[0]) == "lo");
}

TEST_CASE("a rank's address comes back as it was, and damaged not at all", "[ucx]") {
  Contact contact{{5, false, {}}, {6, 7}, 77, {}};
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

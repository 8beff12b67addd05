// listen: a transport listens at a port of TUTTI_PORTS at its NIC's own address, or start-up says that none is free.
#include "lib/transport/listen.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "lib/base/descriptor.h"
#include "tests/catch.h"

namespace tutti {
namespace {

const Nic kLoopback{"lo", "", std::string("\x7f\0\0\1", 4), true, 0};

// A socket that listens at this port of the loopback; 0: any. Not open: the port is taken.
Descriptor listen_at(uint16_t port) {
  Descriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const SocketAddress address = socket_address(kLoopback, port);
  REQUIRE(fd.open());
  if (bind(fd.get(), address.get(), address.length) != 0) fd.reset();
  if (fd.open()) REQUIRE(listen(fd.get(), 1) == 0);
  return fd;
}

uint16_t port_of(const Descriptor& fd) {
  sockaddr_in in{};
  socklen_t length = sizeof in;
  REQUIRE(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&in), &length) == 0);
  return ntohs(in.sin_port);
}

}  // namespace

TEST_CASE("a NIC's address, as sockets take it") {
  const SocketAddress v4 = socket_address(kLoopback, 0x1234), v6 = socket_address({"eth0", "", std::string(16, 'x'), false, 0}, 7);
  CHECK(v4.storage.ss_family == AF_INET);
  CHECK(v4.length == sizeof(sockaddr_in));
  CHECK(reinterpret_cast<const sockaddr_in*>(v4.get())->sin_port == htons(0x1234));
  CHECK(v6.storage.ss_family == AF_INET6);
  CHECK(v6.length == sizeof(sockaddr_in6));
  CHECK(socket_address({"eth0", "", "", false, 0}, 7).length == 0);
}

TEST_CASE("a port at which another listens is not free") {
  Descriptor taken = listen_at(0);
  const uint16_t port = port_of(taken);
  CHECK(!port_is_free(kLoopback, port));
  taken.reset();
  CHECK(port_is_free(kLoopback, port));
  CHECK(port_is_free({"eth0", "", "", false, 0}, port));
}

TEST_CASE("ports of TUTTI_PORTS are tried until one is free, and all are named if none is") {
  setenv("TUTTI_PORTS", "40000-40003", 1);
  const PortChoice choice = choose_ports(Settings::load().value());
  unsetenv("TUTTI_PORTS");
  std::vector<uint16_t> tried;
  const auto take_third = [&](uint16_t port, bool& busy) {
    tried.push_back(port);
    busy = tried.size() < 3;
    return Status();
  };
  CHECK(listen_at_some_port(kLoopback, choice, take_third).ok());
  CHECK(tried.size() == 3);
  tried.clear();
  const auto take_none = [&](uint16_t port, bool& busy) {
    tried.push_back(port);
    busy = true;
    return Status();
  };
  const Status none = listen_at_some_port(kLoopback, choice, take_none);
  std::sort(tried.begin(), tried.end());
  CHECK(tried == std::vector<uint16_t>{40000, 40001, 40002, 40003});
  CHECK(none.code() == Code::SystemError);
  CHECK(none.text() == "no port of TUTTI_PORTS=40000-40003 (environment) is free at lo");
  const Status broken = listen_at_some_port(kLoopback, choice, [](uint16_t, bool&) { return fail(Code::SystemError, "broken"); });
  CHECK(broken.text() == "broken");
}

TEST_CASE("without TUTTI_PORTS any port will do") {
  const PortChoice choice = choose_ports(Settings::load().value());
  Descriptor listener;
  CHECK(listen_at_some_port(kLoopback, choice, [&](uint16_t port, bool& busy) {
    CHECK(port == 0);
    listener = listen_at(port);
    busy = !listener.open();
    return Status();
  }).ok());
  CHECK(listener.open());
}

}  // namespace tutti

// ucx_sockets: TCP connections whose peers read nothing do not keep UCX from ending.
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "lib/base/descriptor.h"
#include "tests/catch.h"
#include "transports/ucx/sockets.h"

namespace tutti {
namespace {

struct Connection {
  Descriptor near, far;  // near: does not block
};

Connection connect_to_self() {
  Connection made;
  const Descriptor listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  sockaddr* const at = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(bind(listener.get(), at, length) == 0);
  REQUIRE(listen(listener.get(), 1) == 0);
  REQUIRE(getsockname(listener.get(), at, &length) == 0);
  made.near = Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(connect(made.near.get(), at, length) == 0);
  made.far = Descriptor(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  REQUIRE(made.far.open());
  return made;
}

// The error of the send that fails first, or 0 after `most` bytes.
int send_until_error(const Connection& connection, size_t most) {
  const std::vector<char> data(std::min<size_t>(most, 1 << 16));
  for (size_t sent = 0; sent < most; sent += data.size())
    if (send(connection.near.get(), data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return errno;
  return 0;
}

void add(const Descriptor& set, const Descriptor& member) {
  epoll_event event{};
  event.events = EPOLLIN;
  REQUIRE(epoll_ctl(set.get(), EPOLL_CTL_ADD, member.get(), &event) == 0);
}

}  // namespace

TEST_CASE("a full connection of an epoll set is shut down, and no other") {
  const Connection full = connect_to_self(), empty = connect_to_self(), stranger = connect_to_self();
  for (const Connection* connection : {&full, &stranger}) REQUIRE(send_until_error(*connection, SIZE_MAX) == EAGAIN);
  const Descriptor outer(epoll_create1(EPOLL_CLOEXEC)), inner(epoll_create1(EPOLL_CLOEXEC));
  add(outer, inner);
  add(inner, full.near);
  add(inner, empty.near);
  ucx::shut_full_connections(outer.get(), 0.01);
  CHECK(send_until_error(full, 1) == EPIPE);
  CHECK(send_until_error(empty, 1) == 0);
  CHECK(send_until_error(stranger, 1) == EAGAIN);
}

}  // namespace tutti

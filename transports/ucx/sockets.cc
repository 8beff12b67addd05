// sockets: see sockets.h. UCX does not name its sockets. The kernel lists the members of an epoll set in /proc.
#include "transports/ucx/sockets.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <new>
#include <string>
#include <vector>

#include "lib/base/clock.h"

namespace tutti::ucx {
namespace {

constexpr int kMostDepth = 4;  // of epoll sets in epoll sets; UCX has two

bool is_tcp(int fd) {
  int protocol = 0;
  socklen_t bytes = sizeof protocol;
  return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &bytes) == 0 && protocol == IPPROTO_TCP;
}

void add_connections(int epoll_fd, int depth, std::vector<pollfd>& connections) {
  std::ifstream members("/proc/self/fdinfo/" + std::to_string(epoll_fd));
  for (std::string line; std::getline(members, line);) {
    if (!line.starts_with("tfd:")) continue;
    const int fd = std::atoi(line.c_str() + 4);
    if (is_tcp(fd))
      connections.push_back({fd, POLLOUT, 0});
    else if (depth < kMostDepth)
      add_connections(fd, depth + 1, connections);
  }
}

}  // namespace

void shut_full_connections(int epoll_fd, double patience_s) noexcept try {
  std::vector<pollfd> full;
  add_connections(epoll_fd, 1, full);
  const Deadline deadline = Deadline::after_s(patience_s);
  for (bool last = false; !last && !full.empty();) {
    last = deadline.passed();
    (void)poll(full.data(), full.size(), deadline.left_ms(1000));
    std::erase_if(full, [](const pollfd& connection) { return connection.revents != 0; });
  }
  for (const pollfd& connection : full) (void)shutdown(connection.fd, SHUT_RDWR);
} catch (const std::bad_alloc&) {  // UCX will wait
}

}  // namespace tutti::ucx

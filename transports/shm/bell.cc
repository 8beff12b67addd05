// bell: see bell.h.
#include "transports/shm/bell.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>

#include "transports/shm/unix_socket.h"

namespace tutti::shm {

Result<Bell> Bell::make(const Token& token) {
  Bell bell;
  bell.socket_ = Descriptor(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!bell.socket_.open()) return too_many_files("cannot open a unix socket", errno);
  sockaddr_un name;
  const socklen_t length = abstract_name("tutti-bell-", token, name);
  if (bind(bell.socket_.get(), reinterpret_cast<sockaddr*>(&name), length) != 0)
    return system_failure(errno, "shm: cannot bind a unix socket");
  return bell;
}

void Bell::hush() const {
  constexpr int kMost = 16;  // the kernel queues about ten
  for (int taken = 0; taken < kMost; ++taken) {
    char nothing;
    if (recv(socket_.get(), &nothing, sizeof nothing, MSG_DONTWAIT) < 0) return;
  }
}

// Of those who find it asleep one sends. If the socket is full, it is readable already.
void Bell::ring(ArenaHeader& of) const {
  if (of.doorbell.sleeping.exchange(0, std::memory_order_acq_rel) == 0) return;
  sockaddr_un name;
  const socklen_t length = abstract_name("tutti-bell-", of.token, name);
  [[maybe_unused]] const ssize_t sent =
      sendto(socket_.get(), nullptr, 0, MSG_DONTWAIT | MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&name), length);
}

}  // namespace tutti::shm

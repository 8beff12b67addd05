// listen: see listen.h.
#include "lib/transport/listen.h"

#include <netinet/in.h>

#include <cerrno>
#include <cstring>

#include "lib/base/descriptor.h"

namespace tutti {

PortChoice choose_ports(const Settings& settings) {
  return {settings.ports(), concat("TUTTI_PORTS=", settings.text(Setting::Ports), " (", settings.origin(Setting::Ports), ")")};
}

SocketAddress socket_address(const Nic& nic, uint16_t port) {
  SocketAddress address;
  if (sockaddr_in in{}; nic.ip.size() == sizeof in.sin_addr) {
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, nic.ip.data(), sizeof in.sin_addr);
    std::memcpy(&address.storage, &in, address.length = sizeof in);
  } else if (sockaddr_in6 in6{}; nic.ip.size() == sizeof in6.sin6_addr) {
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    std::memcpy(&in6.sin6_addr, nic.ip.data(), sizeof in6.sin6_addr);
    std::memcpy(&address.storage, &in6, address.length = sizeof in6);
  }
  return address;
}

bool port_is_free(const Nic& nic, uint16_t port) {
  const SocketAddress address = socket_address(nic, port);
  if (address.length == 0) return true;
  const Descriptor fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return !fd.open() || bind(fd.get(), address.get(), address.length) == 0 || errno != EADDRINUSE;
}

Status listen_at_some_port(const Nic& nic, const PortChoice& choice, const std::function<Status(uint16_t port, bool& busy)>& listen) {
  for (uint32_t tried = 0; tried < choice.ports.count(); ++tried) {
    bool busy = false;
    const Status status = listen(choice.ports.at(tried), busy);
    if (!busy) return status;
  }
  return fail(Code::SystemError, "no port of ", choice.origin, " is free at ", nic.name);
}

}  // namespace tutti

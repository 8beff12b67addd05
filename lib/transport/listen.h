// listen: at which TCP port of a NIC a network transport listens. TUTTI_PORTS names a range of them, for a firewall.
#pragma once
#include <sys/socket.h>

#include <functional>
#include <string>

#include "lib/base/settings.h"
#include "lib/topo/nics.h"

namespace tutti {

// The ports at which a transport may listen, and the setting that says so.
struct PortChoice {
  Ports ports;
  std::string origin;  // "TUTTI_PORTS=40000-40999 (environment)"
};
PortChoice choose_ports(const Settings& settings);

// A NIC's address with a port, as sockets take it. length 0: the NIC has none.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};
SocketAddress socket_address(const Nic& nic, uint16_t port);

// False if another socket listens there. True if that is not known. Another process may take the port right after.
bool port_is_free(const Nic& nic, uint16_t port);

// Calls listen(port, busy) with one port after the other, as long as it sets `busy`: this port is taken. Port 0 stands for any port.
// Returns what the last call returned. Errors: SystemError, all ports are taken.
Status listen_at_some_port(const Nic& nic, const PortChoice& choice, const std::function<Status(uint16_t port, bool& busy)>& listen);

}  // namespace tutti

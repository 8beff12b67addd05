// interface: this host's network interfaces, and how a setting names some of them.
//
// TUTTI_SOCKET_IFNAME and TUTTI_NET_IFNAME read as users of NCCL know it: "eth,ib" admits interfaces whose names begin so,
// "=eth0,eth2" those very ones, "^docker,lo" all but those.
#pragma once
#include <sys/socket.h>

#include <string>
#include <vector>

#include "lib/base/status.h"

namespace tutti {

// An interface that is up, with one of its IP addresses; one entry for each address.
struct Interface {
  std::string name;
  sockaddr_storage address{};
  sockaddr_storage mask{};
  bool loopback = false;
  bool running = false;  // it has a carrier

  bool link_local() const;  // an IPv6 address that is good on its own link only
  // Of containers or virtual machines of this host, to go by its name: rather not used where nobody asked for it.
  bool bridge() const;
};

Result<std::vector<Interface>> list_interfaces();

// Whether a filter that is not empty admits an interface of this name.
bool admitted(const std::string& name, std::string filter);

}  // namespace tutti

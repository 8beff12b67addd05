// interface: which of this host's addresses a listening socket gets.
//
// An interface that TUTTI_SOCKET_IFNAME admits (lib/base/interface.h). Without it: the first interface that is up, passing over
// bridges of containers and virtual machines, and loopback only if there is nothing else. If there is no interface at all: a unix
// socket, at which the ranks of this host can meet.
#include "lib/base/interface.h"

#include "lib/boot/address.h"

namespace tutti {
namespace {

// Smaller is better.
int reluctance(const Interface& interface, bool chosen_by_user) {
  const int value = interface.link_local() ? 10 : 0;
  if (chosen_by_user) return value;
  if (interface.loopback) return value + 4;
  return interface.bridge() ? value + 2 : value;
}

}  // namespace

Result<Address> choose_interface(const Settings& settings) {
  Result<std::vector<Interface>> list = list_interfaces();
  if (!list.ok()) return list.status();
  const std::string& filter = settings.text(Setting::SocketIfname);
  const Interface* best = nullptr;
  for (const Interface& interface : list.value()) {
    if (!filter.empty() && !admitted(interface.name, filter)) continue;
    if (!best || reluctance(interface, !filter.empty()) < reluctance(*best, !filter.empty())) best = &interface;
  }
  if (best) return address_of(best->address);
  if (filter.empty()) return fresh_unix_address();
  std::string names;
  for (const Interface& interface : list.value()) {
    const std::string text = to_text(address_of(interface.address));
    names += concat(names.empty() ? "" : ", ", interface.name, " (", text.substr(0, text.rfind(':')), ")");
  }
  return fail(Code::InvalidArgument, "TUTTI_SOCKET_IFNAME=", filter, " (", settings.origin(Setting::SocketIfname),
              ") matches no interface that is up; there are: ", names.empty() ? "none" : names);
}

}  // namespace tutti

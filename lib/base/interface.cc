// interface: see interface.h.
#include "lib/base/interface.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tutti {
namespace {

bool begins(const std::string& name, const std::string& prefix) { return name.compare(0, prefix.size(), prefix) == 0; }

}  // namespace

bool Interface::link_local() const {
  if (address.ss_family != AF_INET6) return false;
  sockaddr_in6 in6;
  std::memcpy(&in6, &address, sizeof in6);
  return IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr);
}

bool Interface::bridge() const {
  static const char* const prefixes[] = {"docker", "virbr", "veth", "br-", "cni", "lxc"};
  return std::any_of(std::begin(prefixes), std::end(prefixes), [&](const char* prefix) { return begins(name, prefix); });
}

Result<std::vector<Interface>> list_interfaces() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return system_failure(errno, "cannot list the network interfaces");
  std::vector<Interface> found;
  for (const ifaddrs* entry = list; entry; entry = entry->ifa_next) {
    if (!entry->ifa_addr || !(entry->ifa_flags & IFF_UP)) continue;
    const int family = entry->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const size_t bytes = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    Interface interface;
    interface.name = entry->ifa_name;
    interface.running = (entry->ifa_flags & IFF_RUNNING) != 0;
    interface.loopback = (entry->ifa_flags & IFF_LOOPBACK) != 0;
    std::memcpy(&interface.address, entry->ifa_addr, bytes);
    if (entry->ifa_netmask) std::memcpy(&interface.mask, entry->ifa_netmask, bytes);
    found.push_back(std::move(interface));
  }
  freeifaddrs(list);
  return found;
}

bool admitted(const std::string& name, std::string filter) {
  bool exclude = false, exact = false;
  for (; !filter.empty() && (filter[0] == '^' || filter[0] == '='); filter.erase(0, 1))
    (filter[0] == '^' ? exclude : exact) = true;
  bool listed = false;
  for (size_t begin = 0; begin <= filter.size();) {
    const size_t end = std::min(filter.find(',', begin), filter.size());
    const std::string word = filter.substr(begin, end - begin);
    if (!word.empty() && (exact ? name == word : begins(name, word))) listed = true;
    begin = end + 1;
  }
  return listed != exclude;
}

}  // namespace tutti

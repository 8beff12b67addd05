// interface: which of this host's addresses a listening socket gets.
//
// TUTTI_SOCKET_IFNAME reads as users of NCCL know it: "eth,ib" admits interfaces whose names begin so, "=eth0" that very
// one, "^docker,lo" all but those. Without it: the first interface that is up, passing over bridges of containers and
// virtual machines, and loopback only if there is nothing else.
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "lib/boot/address.h"

namespace tutti {
namespace {

struct Candidate {
  std::string name;
  Address address;
  bool loopback;
};

Result<std::vector<Candidate>> list_interfaces() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return system_failure("cannot list the network interfaces", errno);
  std::vector<Candidate> found;
  for (const ifaddrs* entry = list; entry; entry = entry->ifa_next) {
    if (!entry->ifa_addr || !(entry->ifa_flags & IFF_UP)) continue;
    const int family = entry->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    sockaddr_storage storage{};
    std::memcpy(&storage, entry->ifa_addr, family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    found.push_back({entry->ifa_name, address_of(storage), (entry->ifa_flags & IFF_LOOPBACK) != 0});
  }
  freeifaddrs(list);
  return found;
}

bool begins(const std::string& name, const std::string& prefix) {
  return name.compare(0, prefix.size(), prefix) == 0;
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

// Smaller is better.
int reluctance(const Candidate& candidate, bool chosen_by_user) {
  const Address& address = candidate.address;
  const bool link_local = address.family == 6 && address.ip[0] == 0xfe && (address.ip[1] & 0xc0) == 0x80;
  int value = link_local ? 10 : 0;
  if (chosen_by_user) return value;
  if (candidate.loopback) return value + 4;
  for (const char* bridge : {"docker", "virbr", "veth", "br-", "cni", "lxc"})
    if (begins(candidate.name, bridge)) return value + 2;
  return value;
}

}  // namespace

Result<Address> choose_interface(const Settings& settings) {
  Result<std::vector<Candidate>> list = list_interfaces();
  if (!list.ok()) return list.status();
  const std::string& filter = settings.text(Setting::SocketIfname);
  const Candidate* best = nullptr;
  for (const Candidate& candidate : list.value()) {
    if (!filter.empty() && !admitted(candidate.name, filter)) continue;
    if (!best || reluctance(candidate, !filter.empty()) < reluctance(*best, !filter.empty())) best = &candidate;
  }
  if (best) return best->address;
  if (filter.empty()) return fail(Code::SystemError, "this host has no network interface with an IP address that is up");
  std::string names;
  for (const Candidate& candidate : list.value()) {
    const std::string text = to_text(candidate.address);
    names += concat(names.empty() ? "" : ", ", candidate.name, " (", text.substr(0, text.rfind(':')), ")");
  }
  return fail(Code::InvalidArgument, "TUTTI_SOCKET_IFNAME=", filter, " (", settings.origin(Setting::SocketIfname),
              ") matches no interface that is up; there are: ", names.empty() ? "none" : names);
}

}  // namespace tutti

// nic: see nic.h.
#include "transports/ucx/nic.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <set>

#include "lib/base/interface.h"
#include "lib/topo/nics.h"

namespace tutti::ucx {
namespace {

std::string bytes_of(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, &address, sizeof in);
    return std::string(reinterpret_cast<const char*>(&in.sin_addr), sizeof in.sin_addr);
  }
  sockaddr_in6 in6;
  std::memcpy(&in6, &address, sizeof in6);
  return std::string(reinterpret_cast<const char*>(&in6.sin6_addr), sizeof in6.sin6_addr);
}

std::string masked(std::string ip, const std::string& mask) {
  for (size_t i = 0; i < ip.size() && i < mask.size(); ++i) ip[i] = static_cast<char>(ip[i] & mask[i]);
  return ip + mask;
}

uint64_t bytes_per_s(const std::string& name) { return static_cast<uint64_t>(nic_bps(name) / 8); }

// "eth0", or "eth0,mlx5_0:1" where an RDMA port is the same NIC.
std::string devices_of(const std::string& name) {
  std::string devices = name;
  std::error_code none;
  for (const auto& device : std::filesystem::directory_iterator("/sys/class/infiniband", none)) {
    for (const auto& port : std::filesystem::directory_iterator(device.path() / "ports", none)) {
      std::ifstream file(port.path() / "gid_attrs/ndevs/0");
      std::string interface;
      if (file >> interface && interface == name)
        devices += concat(",", device.path().filename().string(), ":", port.path().filename().string());
    }
  }
  return devices;
}

// One entry for each name; an IPv4 address rather than an IPv6 one, because UCX prefers it, too.
std::vector<Nic> list_nics(const std::vector<Interface>& interfaces) {
  std::map<std::pair<size_t, std::string>, const Interface*> best;  // eth2 before eth10
  for (const Interface& interface : interfaces) {
    if (interface.link_local() || !interface.running) continue;
    const Interface*& entry = best[{interface.name.size(), interface.name}];
    if (!entry || (entry->address.ss_family == AF_INET6 && interface.address.ss_family == AF_INET)) entry = &interface;
  }
  std::vector<Nic> nics;
  for (const auto& [key, interface] : best) {
    const std::string ip = bytes_of(interface->address);
    nics.push_back({interface->name, "", masked(ip, bytes_of(interface->mask)), ip, interface->loopback, 0});
  }
  return nics;
}

// Without a word from the user: the best sort that there is.
std::vector<Nic> good_nics(const std::vector<Interface>& interfaces) {
  for (const int sort : {0, 1, 2}) {  // proper; bridges; loopback
    std::vector<Interface> of_sort;
    std::copy_if(interfaces.begin(), interfaces.end(), std::back_inserter(of_sort),
                 [&](const Interface& i) { return (i.loopback ? 2 : i.bridge() ? 1 : 0) == sort; });
    std::vector<Nic> nics = list_nics(of_sort);
    if (nics.empty()) continue;
    uint64_t fastest = 0;
    for (Nic& nic : nics) fastest = std::max(fastest, nic.bytes_per_s = bytes_per_s(nic.name));
    std::erase_if(nics, [&](const Nic& nic) { return nic.bytes_per_s > 0 && nic.bytes_per_s < fastest / 2; });
    return nics;
  }
  return {};
}

// The indices of the ranks' interfaces in this network; empty unless all have one. Hosts that use the same address in it, as
// private networks of hosts do, are not joined by it.
std::vector<uint32_t> members(std::span<const Whereabouts> ranks, const std::string& network) {
  std::vector<uint32_t> indices;
  std::map<std::string, uint64_t> owner;
  if (network.empty()) return {};
  for (const Whereabouts& rank : ranks) {
    const auto nic = std::find_if(rank.nics.begin(), rank.nics.end(), [&](const Nic& n) { return n.network == network; });
    if (nic == rank.nics.end() || owner.try_emplace(nic->ip, rank.host).first->second != rank.host) return {};
    indices.push_back(static_cast<uint32_t>(nic - rank.nics.begin()));
  }
  return indices;
}

}  // namespace

bool Nic::is_public() const {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(ip[i]); };
  if (ip.size() == 16) return (byte(0) & 0xe0) == 0x20;  // 2000::/3
  if (ip.size() != 4 || byte(0) == 0 || byte(0) == 127 || byte(0) >= 224) return false;
  return !(byte(0) == 10 || (byte(0) == 172 && byte(1) / 16 == 1) || (byte(0) == 192 && byte(1) == 168) ||
           (byte(0) == 169 && byte(1) == 254) || (byte(0) == 100 && byte(1) / 64 == 1));
}

Result<std::vector<Nic>> choose_nics(const Settings& settings, std::span<const Cluster::Nic> written) {
  Result<std::vector<Interface>> list = list_interfaces();
  if (!list.ok()) return list.status();
  const std::string& filter = settings.text(Setting::NetIfname);
  std::vector<Nic> nics;
  if (!filter.empty()) {
    nics = list_nics(list.value());
    std::string names;
    for (const Nic& nic : nics) names += concat(names.empty() ? "" : ", ", nic.name);
    std::erase_if(nics, [&](const Nic& nic) { return !admitted(nic.name, filter); });
    if (nics.empty())
      return fail(Code::InvalidArgument, "TUTTI_NET_IFNAME=", filter, " (", settings.origin(Setting::NetIfname),
                  ") matches no interface that has a carrier and an IP address; there are: ", names.empty() ? "none" : names);
    for (Nic& nic : nics) nic.bytes_per_s = bytes_per_s(nic.name);
  } else if (const char* devices = std::getenv("UCX_NET_DEVICES"); devices && *devices && std::strcmp(devices, "all") != 0) {
    return std::vector<Nic>{{devices, "", "", "", std::strcmp(devices, "lo") == 0, 0}};  // one rail of whatever UCX makes of it
  } else {
    nics = good_nics(list.value());
  }
  if (nics.empty()) return fail(Code::SystemError, "ucx: this host has no network interface that has a carrier and an IP address");
  if (nics.size() > kMostRails) nics.resize(kMostRails);
  for (Nic& nic : nics) {
    nic.devices = devices_of(nic.name);
    for (const Cluster::Nic& known : written)
      if (known.name == nic.name) nic.bytes_per_s = static_cast<uint64_t>(known.bps / 8);
  }
  return nics;
}

std::vector<std::vector<uint32_t>> match_rails(std::span<const Whereabouts> ranks) {
  std::vector<std::vector<uint32_t>> rails;
  std::set<std::string> seen;
  for (const Nic& nic : ranks[0].nics) {
    if (!seen.insert(nic.network).second) continue;
    if (std::vector<uint32_t> rail = members(ranks, nic.network); !rail.empty()) rails.push_back(std::move(rail));
  }
  const bool named = std::all_of(ranks.begin(), ranks.end(), [](const Whereabouts& rank) { return rank.named; });
  size_t count = named ? kMostRails : 1;
  for (const Whereabouts& rank : ranks) count = std::min(count, rank.nics.size());
  if (rails.size() >= count) return rails;
  rails.clear();
  for (uint32_t i = 0; i < count; ++i) rails.emplace_back(ranks.size(), i);
  return rails;
}

std::array<uint8_t, kDeal> deal_rails(std::span<const uint64_t> rates) {
  std::vector<double> weights(rates.begin(), rates.end()), due(rates.size(), 0);
  if (std::find(rates.begin(), rates.end(), 0) != rates.end()) weights.assign(rates.size(), 1);
  const double all = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::array<uint8_t, kDeal> deal{};
  for (uint8_t& rail : deal) {  // to whom most is due
    for (size_t i = 0; i < due.size(); ++i) due[i] += weights[i];
    rail = static_cast<uint8_t>(std::max_element(due.begin(), due.end()) - due.begin());
    due[rail] -= all;
  }
  return deal;
}

}  // namespace tutti::ucx

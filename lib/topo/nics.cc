// nics: see nics.h. Asked of the network namespace itself: /sys/class/net shows the one in which /sys was mounted.
#include "lib/topo/nics.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <tuple>

#include "lib/base/descriptor.h"

namespace tutti {
namespace {

constexpr size_t kMostAsked = 64;  // NICs whose drivers are asked

// Asks the driver of an interface; `question` is one of linux/ethtool.h.
template <typename Question>
bool ask(const std::string& name, Question& question) {
  const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.open()) return false;
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&question);
  return ioctl(socket.get(), SIOCETHTOOL, &request) == 0;
}

// What another host cannot be behind: bridges of containers, tunnels, dummies.
bool leads_out(const std::string& name) {
  ethtool_drvinfo driver{};
  driver.cmd = ETHTOOL_GDRVINFO;
  if (!ask(name, driver)) return true;
  for (const char* inner : {"bridge", "tun", "dummy", "openvswitch"})
    if (std::strcmp(driver.driver, inner) == 0) return false;
  return true;
}

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

uint64_t bytes_per_s(double bps) { return static_cast<uint64_t>(bps / 8); }

// Slow NICs beside fast ones are for other things. Those whose rate is unknown stay.
void drop_slow(std::vector<Nic>& nics) {
  uint64_t fastest = 0;
  for (const Nic& nic : nics) fastest = std::max(fastest, nic.bytes_per_s);
  std::erase_if(nics, [&](const Nic& nic) { return nic.bytes_per_s > 0 && nic.bytes_per_s < fastest / 2; });
}

}  // namespace

bool Nic::is_public() const {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(ip[i]); };
  if (ip.size() == 16) return (byte(0) & 0xe0) == 0x20;  // 2000::/3
  if (ip.size() != 4 || byte(0) == 0 || byte(0) == 127 || byte(0) >= 224) return false;
  return !(byte(0) == 10 || (byte(0) == 172 && byte(1) / 16 == 1) || (byte(0) == 192 && byte(1) == 168) ||
           (byte(0) == 169 && byte(1) == 254) || (byte(0) == 100 && byte(1) / 64 == 1));
}

double nic_bps(const std::string& name) {
  ethtool_cmd settings{};
  settings.cmd = ETHTOOL_GSET;
  if (!ask(name, settings)) return 0;
  const uint32_t mbps = ethtool_cmd_speed(&settings);
  return mbps == 0 || mbps == static_cast<uint32_t>(SPEED_UNKNOWN) ? 0 : mbps * 1e6;
}

std::vector<Nic> list_nics(std::span<const Interface> interfaces) {
  std::map<std::pair<size_t, std::string>, const Interface*> best;
  for (const Interface& interface : interfaces) {
    // Ports of a bridge have no address, or one that is good on their link only.
    if (interface.link_local() || !interface.running) continue;
    const Interface*& entry = best[{interface.name.size(), interface.name}];
    if (!entry || (entry->address.ss_family == AF_INET6 && interface.address.ss_family == AF_INET)) entry = &interface;
  }
  std::vector<Nic> nics;
  for (const auto& [key, interface] : best) {
    const std::string ip = bytes_of(interface->address);
    nics.push_back({interface->name, masked(ip, bytes_of(interface->mask)), ip, interface->loopback, 0});
  }
  return nics;
}

std::vector<Nic> usual_nics(std::span<const Interface> interfaces, double (*bps_of)(const std::string& name)) {
  for (const int sort : {0, 1, 2}) {  // proper; bridges; loopback
    std::vector<Interface> of_sort;
    std::copy_if(interfaces.begin(), interfaces.end(), std::back_inserter(of_sort),
                 [&](const Interface& i) { return (i.loopback ? 2 : i.bridge() ? 1 : 0) == sort; });
    std::vector<Nic> nics = list_nics(of_sort);
    if (nics.empty()) continue;
    for (Nic& nic : nics) nic.bytes_per_s = bytes_per_s(bps_of(nic.name));
    drop_slow(nics);
    return nics;
  }
  return {};
}

Result<std::vector<Nic>> choose_nics(const Settings& settings, std::span<const Cluster::Nic> written) {
  Result<std::vector<Interface>> list = list_interfaces();
  if (!list.ok()) return list.status();
  const std::string& filter = settings.text(Setting::NetIfname);
  std::vector<Nic> nics;
  if (filter.empty()) {
    nics = usual_nics(list.value());
    if (nics.empty()) return fail(Code::SystemError, "this host has no network interface that has a carrier and an IP address");
  } else {
    nics = list_nics(list.value());
    std::string names;
    for (const Nic& nic : nics) names += concat(names.empty() ? "" : ", ", nic.name);
    std::erase_if(nics, [&](const Nic& nic) { return !admitted(nic.name, filter); });
    if (nics.empty())
      return fail(Code::InvalidArgument, "TUTTI_NET_IFNAME=", filter, " (", settings.origin(Setting::NetIfname),
                  ") matches no interface that has a carrier and an IP address; there are: ", names.empty() ? "none" : names);
    for (Nic& nic : nics) nic.bytes_per_s = bytes_per_s(nic_bps(nic.name));
  }
  if (nics.size() > kMostRails) nics.resize(kMostRails);
  for (Nic& nic : nics)
    for (const Cluster::Nic& known : written)
      if (known.name == nic.name) nic.bytes_per_s = bytes_per_s(known.bps);
  return nics;
}

std::vector<Nic> outward_nics(const std::string& filter) {
  const Result<std::vector<Interface>> interfaces = list_interfaces();
  if (!interfaces.ok()) return {};
  std::vector<Nic> nics = list_nics(interfaces.value());
  std::erase_if(nics, [&](const Nic& nic) { return nic.loopback || (!filter.empty() && !admitted(nic.name, filter)); });
  if (nics.size() > kMostAsked) nics.resize(kMostAsked);
  if (filter.empty()) std::erase_if(nics, [](const Nic& nic) { return !leads_out(nic.name); });
  for (Nic& nic : nics) nic.bytes_per_s = bytes_per_s(nic_bps(nic.name));
  return nics;
}

double usual_bps(std::vector<Nic> nics) {
  drop_slow(nics);
  double sum = 0;
  for (const Nic& nic : nics) sum += 8 * static_cast<double>(nic.bytes_per_s);
  return sum;
}

std::vector<RdmaPort> rdma_ports_of(const std::string& nic, const std::string& folder) {
  std::vector<RdmaPort> ports;
  std::error_code none;
  for (const auto& device : std::filesystem::directory_iterator(folder, none)) {
    for (const auto& port : std::filesystem::directory_iterator(device.path() / "ports", none)) {
      const std::string digits = port.path().filename().string();
      uint32_t number = 0;
      std::ifstream file(port.path() / "gid_attrs/ndevs/0");
      std::string name;
      if (!(file >> name) || name != nic) continue;
      if (std::from_chars(digits.data(), digits.data() + digits.size(), number).ec == std::errc())
        ports.push_back({device.path().filename().string(), number});
    }
  }
  std::sort(ports.begin(), ports.end(),
            [](const RdmaPort& a, const RdmaPort& b) { return std::tie(a.device, a.port) < std::tie(b.device, b.port); });
  return ports;
}

}  // namespace tutti

// nics: see nics.h. Asked of the network namespace itself: /sys/class/net shows the one in which /sys was mounted.
#include "lib/topo/nics.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "lib/base/interface.h"

namespace tutti {
namespace {

constexpr size_t kMaxNics = 64;

// Asks the driver of an interface; `question` is one of linux/ethtool.h.
template <typename Question>
bool ask(const std::string& name, Question& question) {
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return false;
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&question);
  const bool answered = ioctl(socket, SIOCETHTOOL, &request) == 0;
  close(socket);
  return answered;
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

}  // namespace

double nic_bps(const std::string& name) {
  ethtool_cmd settings{};
  settings.cmd = ETHTOOL_GSET;
  if (!ask(name, settings)) return 0;
  const uint32_t mbps = ethtool_cmd_speed(&settings);
  return mbps == 0 || mbps == static_cast<uint32_t>(SPEED_UNKNOWN) ? 0 : mbps * 1e6;
}

std::vector<Cluster::Nic> nics_here(const std::string& filter) {
  std::vector<Cluster::Nic> nics;
  const Result<std::vector<Interface>> interfaces = list_interfaces();
  if (!interfaces.ok()) return nics;
  for (const Interface& interface : interfaces.value()) {
    const auto listed = [&](const Cluster::Nic& nic) { return nic.name == interface.name; };
    // Ports of a bridge have no address, or one that is good on their link only.
    if (interface.loopback || interface.link_local() || std::any_of(nics.begin(), nics.end(), listed) || nics.size() == kMaxNics) continue;
    if (filter.empty() ? !leads_out(interface.name) : !admitted(interface.name, filter)) continue;
    nics.push_back({interface.name, nic_bps(interface.name)});
  }
  return nics;
}

double usual_bps(std::vector<Cluster::Nic> nics) {
  double fastest = 0;
  for (const Cluster::Nic& nic : nics) fastest = std::max(fastest, nic.bps);
  std::erase_if(nics, [&](const Cluster::Nic& nic) { return nic.bps < fastest / 2; });
  return sum_bps(nics);
}

double sum_bps(const std::vector<Cluster::Nic>& nics) {
  double sum = 0;
  for (const Cluster::Nic& nic : nics) sum += nic.bps;
  return sum;
}

}  // namespace tutti

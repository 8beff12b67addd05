// environment: see environment.h.
#include "transports/ucx/environment.h"

#include <cstdlib>
#include <cstring>

#include "lib/base/host.h"

namespace tutti::ucx {

Result<RankNics> choose_nics_or_devices(const Settings& settings, std::span<const Cluster::Nic> written) {
  const char* const devices = std::getenv("UCX_NET_DEVICES");
  if (!settings.text(Setting::NetIfname).empty() || !devices || !*devices || std::strcmp(devices, "all") == 0)
    return rank_nics_here(settings, written);
  return RankNics{host_number(), false, {{devices, "", "", std::strcmp(devices, "lo") == 0, 0}}};
}

std::string devices_of(const Nic& nic) {
  if (nic.network.empty()) return "";
  std::string devices = nic.name;
  for (const RdmaPort& port : rdma_ports_of(nic.name)) devices += concat(",", port.device, ":", port.port);
  return devices;
}

PortChoice choose_ports_or_range(const Settings& settings) {
  for (const char* name : {"UCX_TCP_PORT_RANGE", "UCX_PORT_RANGE"}) {
    const char* const text = std::getenv(name);
    if (!text) continue;
    const Result<Ports> ports = parse_ports(text);
    return {ports.ok() ? ports.value() : Ports(), concat(name, "=", text)};  // UCX may read what Tutti cannot
  }
  return choose_ports(settings);
}

}  // namespace tutti::ucx

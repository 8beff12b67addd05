// nics: the network interfaces (NICs) of this host: which there are, how fast they are, and which of them carry messages.
//
// By default every good NIC carries messages: with a carrier and an IP address, no loopback and no bridge of containers (these only where
// there is nothing else), and not less than half as fast as the fastest. TUTTI_NET_IFNAME names them instead. Only the choice and the
// rates ask drivers, which can take long: they are for start-up between hosts.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "lib/base/interface.h"
#include "lib/base/settings.h"
#include "lib/topo/file.h"

namespace tutti {

inline constexpr size_t kMostRails = 8;  // NICs of a rank that carry messages

struct Nic {
  std::string name;
  std::string network;   // its IP network: address and mask as bytes; "" if unknown
  std::string ip;        // its address: 4 or 16 bytes in network order; "" if unknown
  bool loopback = false;
  uint64_t bytes_per_s = 0;  // 0: unknown

  // Has an address that the whole Internet may reach.
  bool is_public() const;
};

// Bits per second of a NIC; 0 where its driver does not say.
double nic_bps(const std::string& name);

// The NICs that have a carrier and an address, one entry for each name: eth2 before eth10, with an IPv4 address where there is one.
// Rates are left unknown.
std::vector<Nic> list_nics(std::span<const Interface> interfaces);

// Of those, the ones that carry messages unless the user says otherwise; see above. bps_of: as nic_bps().
std::vector<Nic> usual_nics(std::span<const Interface> interfaces, double (*bps_of)(const std::string& name) = nic_bps);

// The NICs of this host that carry messages, kMostRails at most, with their rates. written: rates that a person knows better than the
// driver. Errors: InvalidArgument, TUTTI_NET_IFNAME fits none; SystemError, there is none.
Result<std::vector<Nic>> choose_nics(const Settings& settings, std::span<const Cluster::Nic> written);

// The NICs that lead to other hosts, with their rates: without loopback, those that the filter admits (lib/base/interface.h), or, if that
// is empty, all but bridges, tunnels and dummies.
std::vector<Nic> outward_nics(const std::string& filter = "");

// Bits per second that these carry together. Those that are slow beside others are for other things and do not count.
double usual_bps(std::vector<Nic> nics);

// A port of an RDMA device. Ports are counted from 1.
struct RdmaPort {
  std::string device;
  uint32_t port;
};

// The RDMA ports that are the same hardware as this NIC, by name. folder: where the kernel lists RDMA devices.
std::vector<RdmaPort> rdma_ports_of(const std::string& nic, const std::string& folder = "/sys/class/infiniband");

}  // namespace tutti

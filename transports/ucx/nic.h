// nic: which network interfaces carry messages, and which of them belong together on all ranks.
//
// By default every good interface of a host is a rail: with a carrier and an IP address, no loopback and no bridge of containers (these
// only where there is nothing else), and not less than half as fast as the fastest. TUTTI_NET_IFNAME names them instead. An
// RDMA device is known by the interface it belongs to; UCX then chooses between it and TCP.
#pragma once
#include <array>
#include <span>
#include <string>
#include <vector>

#include "lib/base/settings.h"
#include "lib/topo/file.h"

namespace tutti::ucx {

inline constexpr size_t kMostRails = 8;
inline constexpr uint32_t kDeal = 64;  // messages after which their distribution over the rails begins anew; divides 2^32

struct Nic {
  std::string name;
  std::string devices;   // as UCX_NET_DEVICES lists them; "" where UCX is to read that itself
  std::string network;   // its IP network; "" if unknown
  std::string ip;
  bool loopback = false;
  uint64_t bytes_per_s = 0;  // 0: unknown

  // Has no RDMA port, such as mlx5_0:1: UCX sends over TCP.
  bool plain() const { return name.find(':') == std::string::npos && devices.find(':') == std::string::npos; }
  // Has an address that the whole Internet may reach.
  bool is_public() const;
};

// written: rates that a person knows better than the kernel.
Result<std::vector<Nic>> choose_nics(const Settings& settings, std::span<const Cluster::Nic> written);

// What a rank has told about itself.
struct Whereabouts {
  uint64_t host = 0;  // a hash of the boot and the network namespace
  bool named = false;  // TUTTI_NET_IFNAME is set
  std::vector<Nic> nics;
};

// rails[r][rank]: the index of the rank's interface of rail r. Interfaces in the same IP network make a rail. Where no network is
// common to all, ranks are taken to be joined by routers: then the first of each make one. Where a person named them on all ranks,
// and networks do not match all of them, they match in their order. A pure function, so that all ranks agree.
std::vector<std::vector<uint32_t>> match_rails(std::span<const Whereabouts> ranks);

// The rail of each message between two ranks: evenly mixed, as many as in proportion to the rates (bytes per second; 0: unknown, then
// all are taken to be alike).
std::array<uint8_t, kDeal> deal_rails(std::span<const uint64_t> rates);

}  // namespace tutti::ucx

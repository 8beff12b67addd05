// environment: what UCX's own variables say about NICs and ports, which Tutti chooses for it: UCX_NET_DEVICES, UCX_TCP_PORT_RANGE.
//
// An RDMA device is known by the NIC that it belongs to. UCX chooses between it and TCP.
#pragma once
#include "lib/topo/rails.h"
#include "lib/transport/listen.h"

namespace tutti::ucx {

// As rank_nics_here(). Where only UCX_NET_DEVICES names devices: one NIC that stands for whatever UCX makes of it.
Result<RankNics> choose_nics_or_devices(const Settings& settings, std::span<const Cluster::Nic> written);

// The devices of a chosen NIC, as UCX_NET_DEVICES lists them: "eth0", or "eth0,mlx5_0:1" where an RDMA port is the same NIC. "" where UCX is
// to read that itself.
std::string devices_of(const Nic& nic);

// As choose_ports(). UCX_TCP_PORT_RANGE and UCX_PORT_RANGE come first.
PortChoice choose_ports_or_range(const Settings& settings);

}  // namespace tutti::ucx

// groups: makes a cluster of what was measured between hosts: who is near to whom.
#pragma once
#include <vector>

#include "lib/topo/file.h"

namespace tutti {

// [from][to]; the diagonal is not looked at.
using Matrix = std::vector<std::vector<double>>;

struct Measured {
  Matrix latency_s, bps;
};

// For each item the number of its group, groups numbered by their first item. Two are near if they reach one another about as
// fast, and as soon, as either reaches anyone.
std::vector<int> groups_of(const Measured& measured);
// Between groups: as fast and as soon as between their nearest.
Measured between_groups(const Measured& measured, const std::vector<int>& groups);

// Hosts (named, with NIC names and ranks) get rates and latencies, racks and sites; these have no uplinks yet.
Cluster cluster_of(const Measured& measured, std::vector<Cluster::Host> hosts);

}  // namespace tutti

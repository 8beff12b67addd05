// assemble: makes the topology from what is known: what ranks say of themselves, a topology file, or a word on a command line.
//
// Pure functions: the same answer on every rank. Levels on which nobody parts are left out, and a place's uplink carries no more
// than what is inside of it can send, so that outer levels can be priced alone.
#pragma once
#include <span>
#include <string>

#include "lib/topo/file.h"
#include "lib/topo/topology.h"
#include "lib/topo/whereabouts.h"

namespace tutti {

// How the ranks of one host reach one another.
struct HostLink {
  Link link;
  bool memory = true;  // as Topology::Level
};

// hosts: the file to find hosts in by their names, or null. The lowest rank of a host speaks for its NICs. Errors: a host that is not in it.
Result<Topology> assemble(std::span<const Whereabouts> ranks, const Cluster* hosts, const HostLink& host_link);

// A file alone: the ranks that it counts, one host after the other. machine_cores: 0, or the cores that all hosts share, being
// namespaces of one machine. Errors: no ranks, or too many.
Result<Topology> assemble(const Cluster& cluster, uint32_t machine_cores = 0);

// Of a command line: a file's path, or a synthetic text like "host:2 core:4", which has no machine_cores. A path has a '/', or is
// that of a file.
bool is_path(const std::string& argument);
Result<Topology> topology_of_argument(const std::string& argument, uint32_t machine_cores = 0);

// For each rank: how many ranks there are per core of its machine, whose namespaces share it. 0: cores for all, or unknown.
std::vector<double> crowding(std::span<const Whereabouts> ranks);

// Of all that topologies may differ in; of a text.
uint64_t hash_of(const Topology& topology);
uint64_t hash_of(std::string_view text);

}  // namespace tutti

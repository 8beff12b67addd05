// cases: what the simulator's tests simulate.
#pragma once
#include <utility>
#include <vector>

#include "lib/sched/select.h"
#include "lib/sched/simulate.h"

namespace tutti::test {

inline std::vector<Program> programs_of(const Algorithm& algorithm, const Topology& topology, Collective collective,
                                        int root = 0) {
  std::vector<Program> programs;
  for (int rank = 0; rank < topology.ranks(); ++rank)
    programs.push_back(program_of(algorithm, {collective, root, rank, topology.ranks(), false, true, topology}));
  return programs;
}

// Hosts of (rack, ranks), with NICs and racks' uplinks in bytes per second; ranks in order, or dealt as `deal` says.
inline Topology cluster(const std::vector<std::pair<int, int>>& hosts, double nic, double uplink,
                        const std::vector<int>& deal = {}) {
  std::vector<std::vector<uint64_t>> paths;
  for (size_t host = 0; host < hosts.size(); ++host)
    for (int i = 0; i < hosts[host].second; ++i)
      paths.push_back({static_cast<uint64_t>(hosts[host].first), host, static_cast<uint64_t>(i)});
  std::vector<std::vector<uint64_t>> dealt = paths;
  for (size_t i = 0; i < deal.size(); ++i) dealt[i] = paths[static_cast<size_t>(deal[i])];
  return Topology::from_paths({{"rack", {50e-6, uplink}}, {"host", {50e-6, nic}}, {"core", {150e-9, 25e9}, true}}, dealt);
}

}  // namespace tutti::test

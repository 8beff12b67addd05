// network: see network.h.
#include "lib/sched/network.h"

#include <cassert>
#include <cmath>

#include "lib/sched/effort.h"

namespace tutti {
namespace {

Picoseconds picoseconds(double seconds) {
  return std::llround(seconds * 1e12);
}

}  // namespace

Network::Network(const Topology& topology) : topology_(topology), flows_(capacities()) {}

std::vector<double> Network::capacities() {
  std::vector<double> capacities;
  for (size_t level = 0; level < topology_.levels().size(); ++level) {
    first_.push_back(static_cast<uint32_t>(capacities.size()));
    uint32_t places = 0;
    for (int rank = 0; rank < topology_.ranks(); ++rank) {
      if (topology_.place_in_all(rank, level) < places) continue;  // places are numbered by their lowest rank
      const Link& link = topology_.uplink(rank, level);
      places_.push_back({level, places++, rank, link, 0, 0});
      capacities.insert(capacities.end(), 2, link.bandwidth_Bps);
    }
  }
  return capacities;
}

Way Network::way(int from, int to) {
  const std::vector<Topology::Level>& levels = topology_.levels();
  const size_t outermost = topology_.divergence(from, to);
  assert(outermost < levels.size());
  const bool memory = levels[outermost].memory;
  std::vector<uint32_t> links;
  for (size_t level = outermost; level < levels.size() && levels[level].memory == memory; ++level) {
    if (!memory || level + 1 < levels.size()) links.push_back(out_of(from, level));
    links.push_back(into(to, level));
  }
  const Link link = topology_.link(from, to);
  return {flows_.path(links), picoseconds(link.latency_s), picoseconds(effort::message(link, memory)),
          picoseconds(effort::by_kernel(link, memory) ? effort::kSegmentsSeconds : 0), memory};
}

std::vector<LinkUse> Network::used() const {
  std::vector<LinkUse> used = places_;
  for (size_t i = 0; i < used.size(); ++i) {
    used[i].out_bytes = flows_.carried()[2 * i];
    used[i].in_bytes = flows_.carried()[2 * i + 1];
  }
  return used;
}

}  // namespace tutti

// hierarchical: inside the places first, then between them.   2 hops per level, outer bytes per place 2(p-1)/p * S
//   host A: 0  1     AllReduce: reduce-scatter in each host (0 <-> 1, 2 <-> 3); each rank all-reduces its share with its
//           |  |     counterparts on the other hosts (0 <-> 2, 1 <-> 3); all-gather in each host. Any number of levels,
//   host B: 2  3     places of any size: shares are dealt anew in each place.
//   ReduceScatter and AllGather are one half each; Broadcast and Reduce cross to each place once. (p places of a level.)
#include "algorithms/cost.h"
#include "algorithms/nested.h"
#include "algorithms/rows.h"

namespace tutti {
namespace {

bool applies(const Problem& problem) {
  switch (problem.collective) {
    case Collective::AlltoAll:
    case Collective::Gather:
    case Collective::Scatter: return false;
    default: return problem.topology.splits().size() >= 2;
  }
}

void build(const Problem& problem, Builder& builder) {
  build_nested(Nest::of(problem.topology), builder);
}

double price(const Problem& problem, size_t size) {
  const Topology& topology = problem.topology;
  const double bytes = static_cast<double>(size), n = problem.ranks;
  const double ways = problem.collective == Collective::AllReduce ? 2 : 1, hops = has_root(problem.collective) ? 2 : 1;
  // What crosses into or out of a place, in one direction. Levels work at the same time, on different tiles.
  const double crossing = cost::wire(topology, [&](const Topology::Split& split) {
    if (has_root(problem.collective)) return bytes;
    if (problem.collective == Collective::AllReduce) return bytes * (split.fan - 1) / split.fan;
    return bytes * (n - split.size) / n;
  });
  const double handled = has_root(problem.collective) ? bytes : bytes * (n - 1) / n;
  return ways * (hops * cost::descent(topology) + cost::messages_to_places(topology) + crossing +
                 (reduces(problem.collective) ? cost::reduction(handled) : 0));
}

}  // namespace

const Algorithm kHierarchical{"hierarchical", applies, build, price};

}  // namespace tutti

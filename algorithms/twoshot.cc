// twoshot: one hop to scatter, one hop to gather.   2 hops, bytes per rank 2(n-1)/n * S
//   chunk:  0 -> rank 0     AllReduce: everyone sends chunk c to rank c, which adds all and sends the sum to everyone.
//           1 -> rank 1     Each rank adds only its share: for large messages where all ranks are one hop apart.
//           2 -> rank 2     Broadcast: the root deals the chunks, then everyone sends its chunk to all the others.
//           3 -> rank 3     Reduce: the same backwards.
#include "algorithms/cost.h"
#include "algorithms/nested.h"
#include "algorithms/rows.h"

namespace tutti {
namespace {

bool applies(const Problem& problem) {
  return problem.ranks > 1 && (problem.collective == Collective::AllReduce || problem.collective == Collective::Reduce ||
                               problem.collective == Collective::Broadcast);
}

void build(const Problem& problem, Builder& builder) {
  build_nested(Nest::flat(problem.topology), builder);
}

double price(const Problem& problem, size_t size) {
  const Topology& topology = problem.topology;
  const double bytes = static_cast<double>(size), part = bytes / problem.ranks;
  if (problem.collective == Collective::AllReduce) {
    const double fetched = problem.mapped ? cost::everyone(topology, part) : 0;  // that the sums need not be
    return cost::nested(problem, Nest::flat(topology), bytes) - fetched;
  }
  const double mates = cost::largest_island(cost::places_of(topology)) - 1;
  const bool adds = problem.collective == Collective::Reduce;
  return 2 * cost::hop(topology) + 3 * cost::messages_to_all(topology) + cost::everyone(topology, part) +
         (adds ? cost::one_to_all(topology, problem.root, part) : cost::publish(topology, problem.root, part)) +
         cost::together(topology, problem.ranks, cost::work(2 * (mates + 1) * part)) + cost::work((adds ? problem.ranks : 0) * part);
}

}  // namespace

const Algorithm kTwoshot{"twoshot", applies, build, price};

}  // namespace tutti

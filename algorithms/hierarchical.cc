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
  const Nest nest = Nest::of(problem.topology);
  const double bytes = static_cast<double>(size);
  return has_root(problem.collective) ? cost::nested_rooted(problem, nest, bytes) : cost::nested(problem, nest, bytes);
}

}  // namespace

const Algorithm kHierarchical{"hierarchical", applies, build, price};

}  // namespace tutti

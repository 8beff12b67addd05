// halving: recursive halving and doubling over halves of halves.   2 log n hops, bytes per rank 2(n-1)/n * S
//   0 <-> 1   2 <-> 3     AllReduce: neighbours exchange halves of the message and add; then the holders of a half exchange
//   |_________|           quarters with their counterparts in the next pair (0 <-> 2, 1 <-> 3); and back, copying.
//         |_________|     ReduceScatter is the first part. Any number of ranks: an uneven half deals its chunks unevenly.
//   Halves follow the topology, so the large exchanges are between near ranks.
#include "algorithms/cost.h"
#include "algorithms/nested.h"
#include "algorithms/rows.h"

namespace tutti {
namespace {

bool applies(const Problem& problem) {
  return problem.ranks > 1 &&
         (problem.collective == Collective::AllReduce || problem.collective == Collective::ReduceScatter);
}

void build(const Problem& problem, Builder& builder) {
  build_nested(Nest::binary(problem.topology), builder);
}

double price(const Problem& problem, size_t size) {
  return cost::nested(problem, Nest::binary(problem.topology), static_cast<double>(size));
}

}  // namespace

const Algorithm kHalving{"halving", applies, build, price};

}  // namespace tutti

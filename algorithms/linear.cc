// linear: the root talks to everyone.   1 hop, bytes of the root (n-1)/n * S
//   1 --\             Gather: every block goes straight into its place. Scatter: the same backwards.
//   2 ----> 0
//   3 --/
#include "algorithms/cost.h"
#include "algorithms/mover.h"
#include "algorithms/rows.h"

namespace tutti {
namespace {

bool applies(const Problem& problem) {
  return problem.collective == Collective::Gather || problem.collective == Collective::Scatter;
}

void build(const Problem& problem, Builder& builder) {
  Mover mover(builder, static_cast<uint32_t>(problem.ranks));
  for (int peer = 0; peer < problem.ranks; ++peer) {
    const uint32_t block = static_cast<uint32_t>(peer);
    if (problem.collective == Collective::Gather)
      mover.carry(0, block, peer, problem.root);
    else
      mover.carry(0, block, problem.root, peer);
  }
  mover.finish();
}

double price(const Problem& problem, size_t size) {
  const double block = static_cast<double>(size) / problem.ranks;
  const double mates = cost::largest_island(cost::places_of(problem.topology)) - 1;
  const bool gathers = problem.collective == Collective::Gather;
  return cost::hop(problem.topology) + cost::messages_to_all(problem.topology) +
         (gathers ? cost::one_to_all(problem.topology, problem.root, block)
                  : cost::publish(problem.topology, problem.root, block)) +
         cost::work((2 + mates) * block);
}

}  // namespace

const Algorithm kLinear{"linear", applies, build, price};

}  // namespace tutti

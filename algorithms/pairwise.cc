// pairwise: every block goes straight to its rank.   n-1 exchanges, bytes per rank (n-1)/n * S
//   step 1: r -> r+1     step 2: r -> r+2     step 3: r -> r+3     (ranks modulo 4)
//   Every rank sends and receives one block per step, so nobody is crowded. Blocks may differ in size.
//   In place all blocks are put aside first: a block must not be overwritten before it has left.
#include "algorithms/cost.h"
#include "algorithms/rows.h"

namespace tutti {
namespace {

bool applies(const Problem& problem) {
  return problem.collective == Collective::AlltoAll && (problem.uniform || !problem.in_place);
}

void build(const Problem& problem, Builder& builder) {
  const int n = problem.ranks, me = problem.rank;
  const uint32_t blocks = static_cast<uint32_t>(n), mine = static_cast<uint32_t>(me);
  builder.shape(blocks, problem.in_place ? 1 : 0);
  if (problem.in_place) builder.copy(input(0), scratch(0), blocks);
  const auto block = [&](int rank) {
    return problem.in_place ? scratch(static_cast<uint32_t>(rank)) : input(static_cast<uint32_t>(rank));
  };
  for (int step = 1; step < n; ++step) {
    const int to = (me + step) % n, from = (me + n - step) % n;
    builder.send(to, block(to));
    builder.recv(from, output(static_cast<uint32_t>(from)));
  }
  builder.copy(block(me), output(mine));
}

double price(const Problem& problem, size_t size) {
  const double block = static_cast<double>(size) / problem.ranks;
  const double mates = cost::largest_island(cost::places_of(problem.topology)) - 1;
  return cost::hop(problem.topology) + 2 * cost::messages_to_all(problem.topology) +
         cost::everyone(problem.topology, block) +
         cost::together(problem.topology, problem.ranks, cost::work((2 * mates + 1) * block));
}

}  // namespace

const Algorithm kPairwise{"pairwise", applies, build, price};

}  // namespace tutti

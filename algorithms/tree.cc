// tree: a binomial tree over the ranks, neighbours in the topology under one parent.   log n hops, bytes per rank S * log n
//   0 --> 2 --> 3     Broadcast: who has it passes it to the furthest first. Reduce: the same tree upwards. AllReduce: both.
//   +---> 1           Gather: blocks travel to the root, subtrees as runs. Scatter: the same tree downwards.
#include "algorithms/cost.h"
#include "algorithms/mover.h"
#include "algorithms/nest.h"
#include "algorithms/rows.h"

namespace tutti {
namespace {

bool applies(const Problem& problem) {
  switch (problem.collective) {
    case Collective::AllReduce:
    case Collective::Broadcast:
    case Collective::Reduce:
    case Collective::Gather:
    case Collective::Scatter: return problem.ranks > 1;
    default: return false;
  }
}

void build(const Problem& problem, Builder& builder) {
  const int n = problem.ranks, rounds = cost::rounds(n);
  const std::vector<int> order = Nest::of(problem.topology).order_from(problem.root);
  const auto rank = [&](int position) { return order[static_cast<size_t>(position)]; };
  const bool blocks = blocks_of(problem.collective, n) > 1;
  Mover mover(builder, blocks ? static_cast<uint32_t>(n) : 1, blocks ? static_cast<uint32_t>(n) : 1);
  // Position p hangs under p without its lowest bit; that bit is the size of its subtree. Large subtrees first, downwards.
  for (int child = 1; child < n; ++child) {
    const int size = child & -child, parent = child - size;
    if (rank(child) != problem.rank && rank(parent) != problem.rank) continue;
    const uint32_t up = static_cast<uint32_t>(cost::rounds(size)), down = static_cast<uint32_t>(2 * rounds) - up;
    switch (problem.collective) {
      case Collective::Broadcast: mover.carry(down, 0, rank(parent), rank(child)); break;
      case Collective::Reduce: mover.reduce(up, 0, rank(child), rank(parent)); break;
      case Collective::AllReduce:
        mover.reduce(up, 0, rank(child), rank(parent));
        mover.carry(down, 0, rank(parent), rank(child));
        break;
      default:
        for (int p = child; p < std::min(child + size, n); ++p) {
          const uint32_t block = static_cast<uint32_t>(rank(p));
          if (problem.collective == Collective::Gather)
            mover.carry(up, block, rank(child), rank(parent));
          else
            mover.carry(down, block, rank(parent), rank(child));
        }
    }
  }
  mover.finish();
}

double price(const Problem& problem, size_t size) {
  const Topology& topology = problem.topology;
  const double bytes = static_cast<double>(size), n = problem.ranks, rounds = cost::rounds(problem.ranks);
  const double start = cost::binomial(topology) + 2 * cost::messages_to_partners(topology);
  double fan = 0;  // the root feeds a whole message into each round
  for (const Topology::Split& split : topology.splits())
    fan += cost::rounds(split.fan) * bytes / split.link.bandwidth_Bps;
  switch (problem.collective) {
    case Collective::AllReduce: return 2 * (start + fan) + cost::reduction(rounds * bytes);
    case Collective::Reduce: return start + fan + cost::reduction(rounds * bytes);
    case Collective::Broadcast: return start + fan;
    // Blocks on their way are copied again at each of up to log n stops.
    default:
      return start + cost::one_to_all(topology, bytes / n) * (rounds + 1) / 2 + cost::messages_outward(topology, n / 2);
  }
}

}  // namespace

const Algorithm kTree{"tree", applies, build, price};

}  // namespace tutti

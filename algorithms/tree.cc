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
  const int n = problem.ranks;
  const double bytes = static_cast<double>(size);
  const bool up = problem.collective == Collective::Reduce || problem.collective == Collective::AllReduce;
  const bool down = problem.collective == Collective::Broadcast || problem.collective == Collective::AllReduce;
  const std::vector<int> places = Nest::of(topology).order_from(problem.root);
  std::vector<int> order{problem.root}, parent(places.size(), -1);
  cost::Load load(topology);
  for (int bit = 1 << cost::rounds(n); bit > 0; bit /= 2)
    for (int child = bit; child < n; child += 2 * bit) {  // large subtrees first
      const int from = places[static_cast<size_t>(child - bit)], to = places[static_cast<size_t>(child)];
      order.push_back(to);
      parent[static_cast<size_t>(to)] = from;
      const double blocks = bytes / n * std::min(bit, n - child);
      if (up) load.hop(to, from, bytes, true);
      if (down) load.hop(from, to, bytes, false, bit == 1);  // one payload for all children
      if (problem.collective == Collective::Gather) load.hop(to, from, blocks, false);
      if (problem.collective == Collective::Scatter) load.hop(from, to, blocks, false);
    }
  const cost::Course there = cost::tree_up(topology, order, parent, bytes),
                  back = cost::tree_down(topology, order, parent, bytes);
  if (up && down)
    return std::max(cost::turns(topology, load.messages(), bytes),
                    there.start + back.start +
                        cost::pipelined(there.bytes + back.bytes, load.seconds(), bytes, cost::kTileBytes, 1));
  if (up || down) {
    const cost::Course way = up ? there : back;
    return way.start + cost::pipelined(way.bytes, load.seconds(), bytes, cost::kTileBytes);
  }
  // Blocks on their way are written again at each stop.
  const double written = cost::work(bytes);
  return back.start +
         cost::pipelined(load.seconds() + 2 * written, std::max(load.seconds(), written), bytes, cost::kTileBytes);
}

}  // namespace

const Algorithm kTree{"tree", applies, build, price};

}  // namespace tutti

// dtree: two binary trees, each for half of the message; inside one, leaf of the other.   2 log n hops, bytes per rank 2S
//         3     0             AllReduce: each half goes up its tree, reduced, and down again.
//     1             2         Broadcast: the root feeds both trees over the other ranks: log n hops, bytes per rank S.
//   0   2         1   3       Tiles of a large message follow each other, so every rank sends and receives each byte about
//                             once on each way, at full speed and logarithmic latency.
#include <utility>

#include "algorithms/cost.h"
#include "algorithms/mover.h"
#include "algorithms/nest.h"
#include "algorithms/rows.h"

namespace tutti {
namespace {

bool applies(const Problem& problem) {
  return problem.ranks > 2 && (problem.collective == Collective::AllReduce || problem.collective == Collective::Broadcast);
}

// The in-order tree over labels 1..n, in which odd labels are leaves: a label's lowest bit is its height. 0: no parent.
int parent_of(int label, int n) {
  const int bit = label & -label;
  const int up = (label ^ bit) | (bit << 1);
  return up <= n ? up : label ^ bit;
}

int depth_of(int label, int n) {
  int depth = 0;
  while ((label = parent_of(label, n)) != 0) ++depth;
  return depth;
}

// The second tree swaps odd and even: by mirroring, or for an odd n by shifting.
int label_of(int tree, int position, int n) {
  const int label = position + 1;
  if (tree == 0) return label;
  return n % 2 == 0 ? n + 1 - label : label % n + 1;
}

// tree(half, depth, child, parent) for all edges; depth is the child's. The parent of a tree's root is -1.
template <typename Edge>
void edges(const std::vector<int>& ranks, const Edge& edge) {
  const int n = static_cast<int>(ranks.size());
  for (uint32_t half = 0; half < 2; ++half) {
    std::vector<int> rank_of(ranks.size() + 1, -1);
    for (int position = 0; position < n; ++position)
      rank_of[static_cast<size_t>(label_of(static_cast<int>(half), position, n))] = ranks[static_cast<size_t>(position)];
    for (int label = 1; label <= n; ++label)
      edge(half, static_cast<uint32_t>(depth_of(label, n)), rank_of[static_cast<size_t>(label)],
           rank_of[static_cast<size_t>(parent_of(label, n))]);
  }
}

void build(const Problem& problem, Builder& builder) {
  const uint32_t height = static_cast<uint32_t>(cost::rounds(problem.ranks)) + 1;
  Mover mover(builder, 2);
  std::vector<int> order = Nest::of(problem.topology).order_from(problem.root);
  if (problem.collective == Collective::Broadcast) {
    order.erase(order.begin());
    edges(order, [&](uint32_t half, uint32_t depth, int child, int parent) {
      mover.carry(depth, half, parent < 0 ? problem.root : parent, child);
    });
  } else {
    edges(order, [&](uint32_t half, uint32_t depth, int child, int parent) {
      if (parent < 0) return;
      mover.reduce(height - depth, half, child, parent);
      mover.carry(height + depth, half, parent, child);
    });
  }
  mover.finish();
}

double price(const Problem& problem, size_t size) {
  const Topology& topology = problem.topology;
  const double bytes = static_cast<double>(size);
  std::vector<int> order = Nest::of(topology).order_from(problem.root);
  const bool both = problem.collective == Collective::AllReduce;
  if (!both) order.erase(order.begin());
  struct Edge {
    uint32_t depth;
    int child, parent;
  };
  std::vector<Edge> trees[2];
  cost::Load load(topology);
  edges(order, [&](uint32_t half, uint32_t depth, int child, int parent) {
    if (parent < 0 && !both) parent = problem.root;
    trees[half].push_back({depth, child, parent});
    if (parent < 0) return;
    load.hop(parent, child, bytes / 2, false, child > parent);  // one payload for both children
    if (both) load.hop(child, parent, bytes / 2, true);
  });
  double start = 0, way = 0;
  for (std::vector<Edge>& tree : trees) {
    std::stable_sort(tree.begin(), tree.end(), [](const Edge& a, const Edge& b) { return a.depth < b.depth; });
    std::vector<int> down, parents(static_cast<size_t>(problem.ranks), -1);
    for (const Edge& edge : tree) {
      down.push_back(edge.child);
      parents[static_cast<size_t>(edge.child)] = edge.parent;
    }
    const cost::Course back = cost::tree_down(topology, down, parents, bytes);  // the other half shares the links
    const cost::Course there = both ? cost::tree_up(topology, down, parents, bytes / 2) : cost::Course{0, 0};
    start = std::max(start, back.start + there.start);
    way = std::max(way, back.bytes + there.bytes);
  }
  return std::max(cost::turns(topology, load.messages(), bytes / 2),
                  start + cost::pipelined(way, load.seconds(), bytes, 2 * cost::kTileBytes, both ? 1 : 0));
}

}  // namespace

const Algorithm kDtree{"dtree", applies, build, price};

}  // namespace tutti

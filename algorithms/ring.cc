// ring: every rank talks to its two neighbours only.   steps 2(n-1), bytes per rank 2(n-1)/n * S
//   0 -> 1 -> 2 -> 3 -+     reduce-scatter: a chunk goes once around, growing; its last stop has the sum
//   +-----------------+     all-gather: the same ring, copying
//   Broadcast: a chain from the root; Reduce: a chain to it; tiles of a large message follow each other along it.
//   Neighbours follow the topology: every place is entered once and left once, so no byte crosses a link twice.
#include "algorithms/cost.h"
#include "algorithms/mover.h"
#include "algorithms/nest.h"
#include "algorithms/rows.h"

namespace tutti {
namespace {

bool applies(const Problem& problem) {
  switch (problem.collective) {
    case Collective::AlltoAll:
    case Collective::Gather:
    case Collective::Scatter: return false;
    default: return problem.ranks > 1;
  }
}

void chain(const Problem& problem, Builder& builder, const Nest& nest) {
  Mover mover(builder, 1);
  const std::vector<int> order = nest.order_from(problem.root);
  const uint32_t hops = static_cast<uint32_t>(order.size()) - 1;
  for (uint32_t i = 0; i < hops; ++i) {
    if (problem.collective == Collective::Broadcast)
      mover.carry(i, 0, order[i], order[i + 1]);
    else
      mover.reduce(hops - i, 0, order[i + 1], order[i]);
  }
  mover.finish();
}

void build(const Problem& problem, Builder& builder) {
  const Nest nest = Nest::of(problem.topology);
  if (has_root(problem.collective)) return chain(problem, builder, nest);
  const int n = problem.ranks;
  const int me = nest.position(problem.rank);
  const int left = nest.rank_at((me + n - 1) % n), right = nest.rank_at((me + 1) % n);
  Mover mover(builder, static_cast<uint32_t>(n));
  // The chunk that ends at a position is the one of the rank there.
  for (int at = 0; at < n; ++at) {
    const uint32_t chunk = static_cast<uint32_t>(nest.rank_at(at));
    // Hops from the chunk's end to here: it leaves its end for the second round at 0.
    const uint32_t behind = static_cast<uint32_t>((me - at + n) % n), last = static_cast<uint32_t>(n - 1);
    if (problem.collective != Collective::AllGather) {
      if (behind != 0) mover.reduce(behind - 1, chunk, problem.rank, right);
      if (behind != 1) mover.reduce((behind + last - 1) % static_cast<uint32_t>(n), chunk, left, problem.rank);
    }
    if (problem.collective != Collective::ReduceScatter) {
      if (behind != last) mover.carry(last + behind, chunk, problem.rank, right);
      if (behind != 0) mover.carry(last + behind - 1, chunk, left, problem.rank);
    }
  }
  mover.finish();
}

double price(const Problem& problem, size_t size) {
  const Topology& topology = problem.topology;
  const double bytes = static_cast<double>(size), n = problem.ranks;
  const bool adds = reduces(problem.collective);
  const Nest nest = Nest::of(topology);
  cost::Load load(topology);
  if (has_root(problem.collective)) {
    const std::vector<int> order = nest.order_from(problem.root);
    double way = 0;
    for (size_t i = 0; i + 1 < order.size(); ++i) {
      adds ? load.hop(order[i + 1], order[i], bytes, true) : load.hop(order[i], order[i + 1], bytes, false);
      const bool memory = topology.levels()[topology.divergence(order[i], order[i + 1])].memory;
      way += bytes / topology.link(order[i], order[i + 1]).bandwidth_Bps + cost::work(memory ? 2 * bytes : adds ? bytes : 0);
    }
    return cost::chain(topology) + cost::pipelined(way, load.seconds(), bytes, cost::kTileBytes);
  }
  const double share = (n - 1) / n * bytes, ways = problem.collective == Collective::AllReduce ? 2 : 1;
  for (int at = 0; at < problem.ranks; ++at) {
    const int from = nest.rank_at(at), to = nest.rank_at((at + 1) % problem.ranks);
    if (adds) load.hop(from, to, share, true);
    if (problem.collective != Collective::ReduceScatter) load.hop(from, to, share, false);
  }
  // Of the n hops around, a chunk leaves out a near one, if there is any.
  const Topology::Split &outer = topology.splits().front(), &inner = topology.splits().back();
  const double closing = problem.ranks > outer.places ? cost::delivery(outer) - cost::delivery(inner) : 0;
  // Its own block, to where it belongs.
  const double own = problem.collective == Collective::AllGather ? cost::work(bytes / n) : 0;
  return std::max(cost::turns(topology, load.messages() * (n - 1), bytes / n), ways * (cost::chain(topology) + closing) + load.seconds() + own);
}

}  // namespace

const Algorithm kRing{"ring", applies, build, price};

}  // namespace tutti

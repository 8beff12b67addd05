// nested: names the hops of one rank in the owners' trees; see nested.h. Phases count levels: upwards depth() .. 0,
// downwards after those 0 .. depth(). Per chunk the work is one walk up the tree, so a rank of a thousand names its hops in
// a millisecond.
#include "algorithms/nested.h"

#include "algorithms/mover.h"

namespace tutti {
namespace {

// hop(depth, upper, lower) for every edge of a chunk's tree that `me` is part of: `upper` owns the chunk in a node of that
// depth, `lower` in another child of it. Stops below nodes where stop(node).
template <typename Owner, typename Stop, typename Hop>
void edges(const Nest& nest, int me, const Owner& owner, const Stop& stop, const Hop& hop) {
  for (int below = nest.leaf(me), above = nest.node(below).parent; above >= 0;
       below = above, above = nest.node(above).parent) {
    if (stop(above)) return;
    const uint32_t depth = static_cast<uint32_t>(nest.node(above).depth);
    const int upper = owner(above);
    if (upper != me) {
      hop(depth, upper, me);
      return;
    }
    for (int child : nest.node(above).children)
      if (child != below) hop(depth, me, owner(child));
  }
}

constexpr auto kNowhere = [](int) { return false; };

// What belongs to no rank in particular: all chunks are reduced up to their owners and spread back.
void all_reduce(const Nest& nest, Mover& mover, int me) {
  const uint32_t depth = static_cast<uint32_t>(nest.depth());
  for (uint32_t c = 0; c < nest.chunks(); ++c)
    edges(
        nest, me, [&](int node) { return nest.owner(node, c); }, kNowhere,
        [&](uint32_t level, int upper, int lower) {
          mover.reduce(depth - level, c, lower, upper);
          mover.carry(depth + 1 + level, c, upper, lower);
        });
}

// Chunk c belongs to rank c: up to it, or down from it.
void scatter_or_gather(const Nest& nest, Mover& mover, int me, bool up) {
  const uint32_t depth = static_cast<uint32_t>(nest.depth());
  for (int home = 0; home < nest.ranks(); ++home) {
    const uint32_t c = static_cast<uint32_t>(home);
    edges(
        nest, me, [&](int node) { return nest.owner_of_home(node, home); }, kNowhere,
        [&](uint32_t level, int upper, int lower) {
          if (up)
            mover.reduce(depth - level, c, lower, upper);
          else
            mover.carry(level, c, upper, lower);
        });
  }
}

// The hops of one chunk that comes from `root`, as hop(phase, from, to), those of `me` at least.
template <typename Hop>
void from_root(const Nest& nest, int root, int me, uint32_t c, const Hop& hop) {
  const int home = nest.node(nest.leaf(root)).parent;  // the root's innermost place
  const bool deals = nest.node(home).span == 1;
  const int driver = deals ? nest.member(home, c) : root;
  hop(0, root, driver);
  // From the driver's place to its neighbours on every level: first to one of them, by turns, which passes it on to the
  // others.
  for (int at = nest.top(); nest.contains(at, root) && !nest.node(at).children.empty(); at = nest.child_with(at, root)) {
    const Nest::Node& place = nest.node(at);
    const uint32_t phase = 1 + 2 * static_cast<uint32_t>(place.depth);
    if (at == home && deals) {
      for (int child : place.children)
        if (const int to = nest.rank_at(nest.node(child).first); to != root && (me == driver || me == to))
          hop(phase + 1, driver, to);
      break;
    }
    std::vector<int> others = place.children;
    std::erase(others, nest.child_with(at, root));
    const size_t turn = c / place.weight % others.size();
    const int relay = nest.owner(others[turn], c);
    hop(phase, driver, relay);
    for (size_t i = 0; i < others.size(); ++i)
      if (i != turn && (me == relay || nest.contains(others[i], me))) hop(phase + 1, relay, nest.owner(others[i], c));
  }
  // Down inside the places that the root is not part of.
  edges(
      nest, me, [&](int node) { return nest.owner(node, c); }, [&](int node) { return nest.contains(node, root); },
      [&](uint32_t level, int upper, int lower) { hop(2 + 2 * level, upper, lower); });
}

}  // namespace

void build_nested(const Nest& nest, Builder& builder) {
  const Problem& problem = builder.problem();
  if (blocks_of(problem.collective, problem.ranks) > 1 || problem.ranks == 1) {
    // A flat nest moves single blocks; others collect several on the way.
    const uint32_t longest = nest.depth() < 2 ? 1 : static_cast<uint32_t>(problem.ranks + 1) / 2;
    Mover mover(builder, static_cast<uint32_t>(problem.ranks), longest);
    scatter_or_gather(nest, mover, problem.rank, problem.collective == Collective::ReduceScatter);
    return mover.finish();
  }
  Mover mover(builder, nest.chunks(), nest.longest_run());
  if (problem.collective == Collective::AllReduce) {
    all_reduce(nest, mover, problem.rank);
    return mover.finish();
  }
  const uint32_t last = 2 + 2 * static_cast<uint32_t>(nest.depth());
  for (uint32_t c = 0; c < nest.chunks(); ++c)
    from_root(nest, problem.root, problem.rank, c, [&](uint32_t phase, int from, int to) {
      if (problem.collective == Collective::Broadcast)
        mover.carry(phase, c, from, to);
      else
        mover.reduce(last - phase, c, to, from);
    });
  mover.finish();
}

}  // namespace tutti

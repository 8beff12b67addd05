// nested_cost: what the owners' trees of a nest cost (algorithms/nested.cc), level by level.
//
// A rank owns a share of the message in every node that it is part of: all of it as a leaf, and of what its child owns in a node
// of k children a k-th. Between the children of a node, for each chunk all but one of k owners send to the one, or receive from
// it. Whom they send to is spread evenly over the node.
#include "algorithms/cost.h"

namespace tutti::cost {
namespace {

// Positions [first, last) of every rank's places.
class Ranges {
 public:
  struct Range {
    int first, last;
    int with(int from, int to) const { return std::max(0, std::min(last, to) - std::max(first, from)); }
  };

  Ranges(const Topology& topology, const Nest& nest) : topology_(topology) {
    for (size_t level = 0; level < topology.levels().size(); ++level) {
      std::vector<Range>& ranges = ranges_.emplace_back();
      for (int position = 0; position < nest.ranks(); ++position) {
        const uint32_t place = topology.place_in_all(nest.rank_at(position), level);
        if (place >= ranges.size()) ranges.resize(place + 1, {position, position});
        if (ranges[place].last == ranges[place].first) ranges[place] = {position, position};
        ranges[place].last = position + 1;
      }
    }
  }

  // Of the ranks of `node` outside `child`, the part that is outside a rank's place.
  double outside(const Nest::Node& node, const Nest::Node& child, int rank, size_t level) const {
    const Range& place = ranges_[level][topology_.place_in_all(rank, level)];
    const double all = node.last - node.first - (child.last - child.first);
    return 1 - (place.with(node.first, node.last) - place.with(child.first, child.last)) / all;
  }

 private:
  const Topology& topology_;
  std::vector<std::vector<Range>> ranges_;
};

// Stages that follow each other over the same links of a network leave these idle now and then. Simulated: some 15 % where
// partners differ in what they have to do; else 3 % for each stage above one per level, or on one level next to nothing.
constexpr double kUneven = 0.15, kPerStage = 0.03, kEven = 0.01;

// Bytes of the message in one tile.
double tile_of(const Problem& problem, const Nest& nest) {
  if (blocks_of(problem.collective, problem.ranks) == 1) return kTileBytes * nest.chunks() / nest.longest_run();
  return kTileBytes * problem.ranks / (nest.depth() < 2 ? 1 : (problem.ranks + 1) / 2);
}

// The link between the children of a node.
Link link_in(const Topology& topology, const Nest& nest, const Nest::Node& node) {
  return topology.link(nest.rank_at(node.first), nest.rank_at(node.last - 1));
}

bool in_memory(const Topology& topology, const Nest& nest, const Nest::Node& node) {
  return topology.levels()[topology.divergence(nest.rank_at(node.first), nest.rank_at(node.last - 1))].memory;
}

// The bytes that a rank sends between the children of a node. share: the part of its own child's data that this rank handles.
double sent(const Problem& problem, double bytes, const Nest::Node& node, const Nest::Node& child, double share) {
  const double k = static_cast<double>(node.children.size()), block = bytes / problem.ranks;
  if (problem.collective == Collective::AllReduce) return bytes * share * (k - 1) / k;
  const double members = node.last - node.first, mates = child.last - child.first;
  // Blocks at home in other children go there at once; those at home outside go to one of k.
  const double out = (members - mates) * block * share + (problem.ranks - members) * block * share * (k - 1) / k;
  const double in = (k - 1) * block + (problem.ranks - members) * block * share * (k - 1) / k;
  return std::max(out, in);
}

}  // namespace

double nested(const Problem& problem, const Nest& nest, double bytes) {
  const Topology& topology = problem.topology;
  const Ranges ranges(topology, nest);
  const bool adds = reduces(problem.collective), both = problem.collective == Collective::AllReduce;
  const double ways = both ? 2 : 1;
  const size_t depth = static_cast<size_t>(nest.depth());
  Load all(topology);
  double start = 0, way = 0, sends = 0;
  size_t abroad = 0;  // stages between hosts
  bool uneven = problem.collective == Collective::ReduceScatter;
  for (size_t level = 0; level < depth; ++level) {
    Load stage(topology);
    double slowest = 0;
    bool network = false;
    for (int rank = 0; rank < nest.ranks(); ++rank) {
      double share = 1;
      int below = nest.leaf(rank), above = nest.node(below).parent;
      while (above >= 0 && nest.node(above).depth > static_cast<int>(level)) {
        share /= static_cast<double>(nest.node(above).children.size());
        below = above;
        above = nest.node(above).parent;
      }
      if (above < 0 || nest.node(above).depth != static_cast<int>(level)) continue;
      const Nest::Node &node = nest.node(above), &child = nest.node(below);
      const Link link = link_in(topology, nest, node);
      const double k = static_cast<double>(node.children.size()), members = node.last - node.first;
      // Blocks that a rank passes on are not neighbours: each is a message.
      const double blocks = (members - (child.last - child.first)) * share + (problem.ranks - members) * share * (k - 1) / k;
      const double messages = both ? k - 1 : std::max(k - 1, blocks);
      // What is added is taken up when all is there, what is copied when it comes.
      const double handled = (adds ? 2 * messages : 0) + (adds && !both ? 0 : messages + 1);
      const bool memory = in_memory(topology, nest, node);
      slowest = std::max(slowest, ways * link.latency_s + handled * effort::message(link, memory));
      network |= !memory;
      if (!memory) sends += ways * messages;
      uneven |= node.span * static_cast<int>(k) != node.last - node.first;
      const double moved = sent(problem, bytes, node, child, share);
      const auto outside = [&](size_t at) { return ranges.outside(node, child, rank, at); };
      const double added = adds ? moved : 0, written = added + (both || !adds ? moved / (k - 1) : 0);
      stage.exchange(rank, ways * moved, added, written, outside);
      all.exchange(rank, ways * moved, added, written, outside);
    }
    start += slowest;
    way += stage.seconds();
    abroad += network;
  }
  size_t levels = 0;
  for (const Topology::Split& split : topology.splits()) levels += !split.memory;
  double waits = 1;
  if (abroad > levels) waits += uneven ? kUneven : levels > 1 ? kPerStage * static_cast<double>(abroad - levels) : kEven;
  // Its own block, to where it belongs.
  const double own = problem.collective == Collective::AllGather ? work(bytes / problem.ranks) : 0;
  return std::max(turns(topology, sends, bytes / problem.ranks), start + pipelined(way, waits * all.seconds(), bytes, tile_of(problem, nest), 1) + own);
}

// The root's place deals the message to its members; they carry their parts to a neighbour of each place that the root is in;
// that one passes it on to the others, and inside these it is spread. Reduce is the same backwards.
double nested_rooted(const Problem& problem, const Nest& nest, double bytes) {
  const Topology& topology = problem.topology;
  const bool adds = problem.collective == Collective::Reduce;
  const auto added = [&](double part) { return adds ? work(part) : 0; };
  struct Reach {
    int node;
    Course way;  // until the owners in the node's other children have their parts
  };
  std::vector<Reach> reaches;
  Course dealt{0, 0};
  double load = 0, member = 0;            // of links; of a rank
  size_t host = topology.levels().size();  // the innermost level of the network
  while (host > 0 && topology.levels()[host - 1].memory) --host;
  double times = 0;  // that the message leaves the root's host
  for (int at = nest.node(nest.leaf(problem.root)).parent; at >= 0; at = nest.node(at).parent) {
    const Nest::Node& node = nest.node(at);
    const Link link = link_in(topology, nest, node);
    const bool memory = in_memory(topology, nest, node);
    const double k = static_cast<double>(node.children.size()), messages = 2 * (k - 1) * effort::message(link, memory);
    if (reaches.empty() && node.span == 1) {  // a part to each, and from each to all
      const double part = bytes * (k - 1) / k;
      const double stored = memory ? work(2 * part) : added(part);
      dealt = {link.latency_s + messages, part / link.bandwidth_Bps + stored};
      reaches.push_back({at, {link.latency_s + messages, part / link.bandwidth_Bps + stored}});
      if (memory) {
        member = bytes / link.bandwidth_Bps + work(2 * bytes);  // of a member, over both
      } else {
        load = dealt.bytes;
        ++times;
      }
      continue;
    }
    // All of it goes out once for every level. Who passes parts on gets less from the root meanwhile.
    const double on = k > 2 ? (k - 2) / (k - 1) : 0;
    double once = bytes / link.bandwidth_Bps;
    if (!memory) once = std::max(once, ++times * bytes / topology.uplink(problem.root, host - 1).bandwidth_Bps);
    reaches.push_back(
        {at,
         {(k > 2 ? 2 : 1) * link.latency_s + messages,
          once + on * bytes / link.bandwidth_Bps + (memory ? work(2 * (1 + on) * bytes) : added((1 + on) * bytes))}});
    if (memory)
      member = std::max(member, reaches.back().way.bytes + added(bytes / 2));
    else
      load = std::max(load, once * (k > 2 ? 1 + 1 / (k - 1) : 1));
  }
  Course longest{0, 0};
  for (int position = 0; position < nest.ranks(); ++position) {
    const int rank = nest.rank_at(position);
    if (rank == problem.root) continue;
    Course way = dealt;
    int at = nest.node(nest.leaf(rank)).parent;
    for (; !nest.contains(at, problem.root); at = nest.node(at).parent) {  // spread inside places without the root
      const Link link = link_in(topology, nest, nest.node(at));
      const double k = static_cast<double>(nest.node(at).children.size()), part = bytes * (k - 1) / k;
      const bool memory = in_memory(topology, nest, nest.node(at));
      way.start += link.latency_s + (k - 1) * effort::message(link, memory);
      way.bytes += part / link.bandwidth_Bps + (memory ? work(2 * part) : added(part));
    }
    for (const Reach& reach : reaches)
      if (reach.node == at) way = {way.start + reach.way.start, way.bytes + reach.way.bytes};
    longest = {std::max(longest.start, way.start), std::max(longest.bytes, way.bytes)};
  }
  return longest.start + pipelined(longest.bytes, std::max(load, member), bytes, tile_of(problem, nest));
}

}  // namespace tutti::cost

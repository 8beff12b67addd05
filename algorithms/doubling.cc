// doubling: what a rank knows doubles each round.   log n hops, bytes per rank S * log n (AllGather: (n-1)/n * S)
//   0 <-> 1   2 <-> 3     round 0: partners exchange all they have
//   0 <-> 2   1 <-> 3     round 1: and so do the partners of the next size
//   AllReduce: both partners add in the order of their positions, so all get the same bits. Of ranks beyond the largest
//   power of two each hands its input to a neighbour first and gets the result last. Sums are made in scratch, the last one
//   in output where that is not the input still to be read: an exchange in place would wait for itself where a send waits
//   for its receiver. AllGather: blocks, spread over halves of halves.
#include "algorithms/cost.h"
#include "algorithms/nested.h"
#include "algorithms/rows.h"

namespace tutti {
namespace {

bool applies(const Problem& problem) {
  return problem.ranks > 1 && (problem.collective == Collective::AllReduce || problem.collective == Collective::AllGather);
}

void all_reduce(const Problem& problem, Builder& builder) {
  builder.shape(1, 2);
  const Nest nest = Nest::of(problem.topology);
  const int active = static_cast<int>(std::bit_floor(static_cast<unsigned>(problem.ranks)));
  const int extras = problem.ranks - active;
  const int position = nest.position(problem.rank);
  // The first 2 * extras positions are pairs whose second member stands aside.
  if (position < 2 * extras && position % 2 == 1) {
    const int partner = nest.rank_at(position - 1);
    builder.send(partner, input(0));
    builder.recv(partner, output(0));
    return;
  }
  const auto rank_of = [&](int place) { return nest.rank_at(place < extras ? 2 * place : place + extras); };
  const int place = position < 2 * extras ? position / 2 : position - extras;
  Ref mine = input(0);
  const bool folds = position < 2 * extras;
  const uint32_t sums = static_cast<uint32_t>(cost::rounds(active)) + folds;
  uint32_t made = 0;  // they alternate between two copies, so that the one before can still be read
  const auto add = [&](int peer, bool mine_first) {
    // The last one goes to output, unless it would wait there for our input to be read.
    const bool last = ++made == sums && !(problem.in_place && mine.buffer == Buffer::Input);
    const Ref sum = last ? output(0) : scratch(made % 2);
    if (mine_first) {
      builder.copy(mine, sum);
      builder.recv_reduce(peer, sum);
    } else {
      builder.recv(peer, sum);
      builder.reduce(mine, sum);
    }
    mine = sum;
  };
  if (folds) add(nest.rank_at(position + 1), true);
  for (int distance = 1; distance < active; distance *= 2) {
    const int peer = rank_of(place ^ distance);
    builder.send(peer, mine);
    add(peer, (place & distance) == 0);
  }
  if (folds) builder.send(nest.rank_at(position + 1), mine);
  if (mine.buffer != Buffer::Output) builder.copy(mine, output(0));
}

void build(const Problem& problem, Builder& builder) {
  if (problem.collective == Collective::AllReduce) return all_reduce(problem, builder);
  build_nested(Nest::binary(problem.topology), builder);
}

double price(const Problem& problem, size_t size) {
  const Topology& topology = problem.topology;
  const double bytes = static_cast<double>(size);
  if (problem.collective == Collective::AllGather) return cost::nested(problem, Nest::binary(topology), bytes);
  const Nest nest = Nest::of(topology);
  const int active = static_cast<int>(std::bit_floor(static_cast<unsigned>(problem.ranks))), extras = problem.ranks - active;
  const auto rank_of = [&](int place) { return nest.rank_at(place < extras ? 2 * place : place + extras); };
  cost::Load all(topology);
  double start = 0, way = 0;
  for (int distance = 1; distance < active; distance *= 2) {
    cost::Load round(topology);
    double slowest = 0;
    for (int place = 0; place < active; ++place)
      for (cost::Load* load : {&round, &all}) {
        const int from = rank_of(place), to = rank_of(place ^ distance);
        load->hop(from, to, bytes, true);
        const Link link = topology.link(from, to);
        const bool memory = topology.levels()[topology.divergence(from, to)].memory;
        slowest = std::max(slowest, link.latency_s + 2 * effort::message(link, memory));
      }
    start += slowest;
    way += round.seconds();
  }
  if (extras > 0) {
    double start_once = 0, way_once = 0;  // of the slowest pair
    for (int pair = 0; pair < extras; ++pair) {
      const int stays = nest.rank_at(2 * pair), stands = nest.rank_at(2 * pair + 1);
      all.hop(stands, stays, bytes, true);
      all.hop(stays, stands, bytes, false);
      const Link link = topology.link(stays, stands);
      const bool memory = topology.levels()[topology.divergence(stays, stands)].memory;
      start_once = std::max(start_once, link.latency_s + 2 * effort::message(link, memory));
      way_once = std::max(way_once, bytes / link.bandwidth_Bps);
    }
    start += 2 * start_once;
    way += 2 * way_once + cost::work(2 * bytes);
  }
  return std::max(cost::turns(topology, all.messages(), bytes),
                  start + cost::pipelined(way, all.seconds(), bytes, cost::kTileBytes, 1));
}

}  // namespace

const Algorithm kDoubling{"doubling", applies, build, price};

}  // namespace tutti

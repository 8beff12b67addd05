// oneshot: every contribution goes straight to everyone who needs it.   1 hop, bytes per rank (n-1) * S
//   0 <--> 1     AllReduce: everyone sends its whole input to everyone, and everyone adds all inputs in the order of ranks,
//   | \  / |     so all get the same bits: one payload with n-1 readers, one pass over n sources.
//   |  \/  |     ReduceScatter, AllGather: the same with blocks. Reduce: all to the root. Broadcast: the root to all.
//   |  /\  |     The cheapest for small messages, where a hop is what costs.
//   | /  \ |
//   2 <--> 3
#include "algorithms/cost.h"
#include "algorithms/mover.h"
#include "algorithms/rows.h"

namespace tutti {
namespace {

bool applies(const Problem& problem) {
  switch (problem.collective) {
    case Collective::AlltoAll:
    case Collective::Gather:
    case Collective::Scatter: return false;
    default: return true;
  }
}

void all_reduce(const Problem& problem, Builder& builder) {
  // In place the sum must not go where peers still read our input: it is made in scratch and copied when they have read.
  builder.shape(1, problem.in_place ? 1 : 0);
  const Ref sum = problem.in_place ? scratch(0) : output(0);
  for (int peer = 0; peer < problem.ranks; ++peer)
    if (peer != problem.rank) builder.send(peer, input(0));
  for (int peer = 0; peer < problem.ranks; ++peer) {
    if (peer == problem.rank)
      peer == 0 ? builder.copy(input(0), sum) : builder.reduce(input(0), sum);
    else
      peer == 0 ? builder.recv(peer, sum) : builder.recv_reduce(peer, sum);
  }
  if (problem.in_place) builder.copy(sum, output(0));
}

void build(const Problem& problem, Builder& builder) {
  if (problem.collective == Collective::AllReduce) return all_reduce(problem, builder);
  const bool blocks = blocks_of(problem.collective, problem.ranks) > 1;
  Mover mover(builder, blocks ? static_cast<uint32_t>(problem.ranks) : 1);
  for (int peer = 0; peer < problem.ranks; ++peer) {
    const uint32_t mine = static_cast<uint32_t>(problem.rank), theirs = static_cast<uint32_t>(peer);
    switch (problem.collective) {
      case Collective::Reduce: mover.reduce(0, 0, peer, problem.root); break;
      case Collective::Broadcast: mover.carry(0, 0, problem.root, peer); break;
      case Collective::ReduceScatter:
        mover.reduce(0, theirs, problem.rank, peer);
        mover.reduce(0, mine, peer, problem.rank);
        break;
      default: mover.carry(0, mine, problem.rank, peer); mover.carry(0, theirs, peer, problem.rank);
    }
  }
  mover.finish();
}

double price(const Problem& problem, size_t size) {
  const Topology& topology = problem.topology;
  const double bytes = static_cast<double>(size), n = problem.ranks, block = bytes / n;
  const double mates = cost::largest_island(cost::places_of(topology)) - 1, writes = mates > 0 ? 1 : 0;
  const double start = cost::hop(topology) + cost::messages_to_all(topology);
  const auto all_work = [&](double moved) { return cost::together(topology, n, cost::work(moved)); };
  switch (problem.collective) {
    case Collective::AllReduce: {
      const double turns = topology.crowding() > 1 ? cost::turns(topology, cost::pairs_abroad(topology), bytes) : 0;
      return std::max(turns, start + cost::messages_to_all(topology) + cost::everyone(topology, bytes) +
                                 all_work((n - 1 + writes) * bytes) + cost::read_again(bytes, n - 1));
    }
    case Collective::Reduce:
      return start + cost::one_to_all(topology, problem.root, bytes) + cost::work((n - 1) * bytes) +
             cost::work(writes * std::min(bytes, cost::kTileBytes));
    case Collective::Broadcast:
      return start + cost::publish(topology, problem.root, bytes) +
             all_work(writes * (bytes + std::min(bytes, cost::kTileBytes)));
    case Collective::ReduceScatter:
      return start + cost::messages_to_all(topology) + cost::everyone(topology, block) + all_work((n - 1 + mates) * block);
    default:
      return start + cost::messages_to_all(topology) + cost::everyone(topology, block) +
             all_work((mates + 1 + writes) * block);
  }
}

}  // namespace

const Algorithm kOneshot{"oneshot", applies, build, price};

}  // namespace tutti

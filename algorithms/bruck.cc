// bruck: blocks hop by powers of two.   log n hops and messages, bytes per rank S/2 * log n (AllGather: (n-1)/n * S)
//   round 0: r -> r+1     AlltoAll: a block for the rank at distance d travels in the rounds of d's bits; what travels in
//   round 1: r -> r+2     a round is packed to one message. For small blocks of one size: many pass through other ranks.
//   (ranks modulo 4)      AllGather: the same hops backwards; in each round a rank passes on all blocks it has, from its own
//                         onwards, as far as they are missing there, so what it has doubles.
#include "algorithms/cost.h"
#include "algorithms/mover.h"
#include "algorithms/rows.h"

namespace tutti {
namespace {

constexpr double kPackSeconds = 5e-9;  // to copy one small block

bool applies(const Problem& problem) {
  if (problem.ranks < 2) return false;
  return problem.collective == Collective::AllGather || (problem.collective == Collective::AlltoAll && problem.uniform);
}

void all_gather(const Problem& problem, Builder& builder) {
  const int n = problem.ranks, me = problem.rank;
  Mover mover(builder, static_cast<uint32_t>(n), static_cast<uint32_t>(n + 1) / 2);
  uint32_t round = 0;
  for (int distance = 1; distance < n; distance *= 2, ++round)
    for (int i = 0; i < std::min(distance, n - distance); ++i) {
      mover.carry(round, static_cast<uint32_t>((me + i) % n), me, (me + n - distance) % n);
      mover.carry(round, static_cast<uint32_t>((me + distance + i) % n), (me + distance) % n, me);
    }
  mover.finish();
}

void all_to_all(const Problem& problem, Builder& builder) {
  const int n = problem.ranks, me = problem.rank;
  const uint32_t blocks = static_cast<uint32_t>(n);
  // Each round has a copy of scratch to itself: first what goes, then what comes, both at most half of the blocks.
  builder.shape(blocks, static_cast<uint32_t>(cost::rounds(n)), blocks / 2);
  std::vector<Ref> at;  // where the block that travels distance d is
  for (int d = 0; d < n; ++d) at.push_back(input(static_cast<uint32_t>((me + d) % n)));
  uint32_t base = 0;
  for (int distance = 1; distance < n; distance *= 2, base += blocks) {
    uint32_t packed = 0;
    for (int d = distance; d < n; ++d)
      if (d & distance) builder.copy(at[static_cast<size_t>(d)], scratch(base + packed++));
    builder.send((me + distance) % n, scratch(base), packed);
    builder.recv((me + n - distance) % n, scratch(base + packed), packed);
    uint32_t arrived = 0;
    for (int d = distance; d < n; ++d)
      if (d & distance) at[static_cast<size_t>(d)] = scratch(base + packed + arrived++);
  }
  for (int d = 0; d < n; ++d) builder.copy(at[static_cast<size_t>(d)], output(static_cast<uint32_t>((me + n - d) % n)));
}

void build(const Problem& problem, Builder& builder) {
  problem.collective == Collective::AllGather ? all_gather(problem, builder) : all_to_all(problem, builder);
}

double price(const Problem& problem, size_t size) {
  const Topology& topology = problem.topology;
  const double bytes = static_cast<double>(size), n = problem.ranks, rounds = cost::rounds(problem.ranks);
  const double start = rounds * cost::hop(topology) + cost::messages_outward(topology, 2 * rounds);
  cost::Load load(topology);
  for (int distance = 1; distance < problem.ranks; distance *= 2)
    for (int rank = 0; rank < problem.ranks; ++rank) {
      const int to = (rank + distance) % problem.ranks;
      if (problem.collective == Collective::AllGather) {
        const double blocks = bytes / n * std::min(distance, problem.ranks - distance);
        load.hop(to, rank, blocks, false);
        continue;
      }
      load.hop(rank, to, bytes / 2, false);
      load.busy(rank, cost::work(bytes));
    }
  if (problem.collective == Collective::AllGather) return start + load.seconds() + cost::work(2 * bytes / n);
  return start + load.seconds() + n * rounds / 2 * kPackSeconds;
}

}  // namespace

const Algorithm kBruck{"bruck", applies, build, price};

}  // namespace tutti

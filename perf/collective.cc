// collective: see collective.h.
#include "perf/collective.h"

#include <cstring>

namespace tutti::perf {
namespace {

using Pieces = std::vector<Piece>;

double all(double) {
  return 1;
}
double others(double ranks) {
  return (ranks - 1) / ranks;
}
double twice_others(double ranks) {
  return 2 * (ranks - 1) / ranks;
}

Shape same(size_t count, const Who&) {
  return {count, count};
}
Shape all_blocks(size_t count, const Who& who) {
  return {who.ranks * count, who.ranks * count};
}

// ---- all ranks, reduced or moved

tuttiResult_t call_all_reduce(const Call& c) {
  return tuttiAllReduce(c.send, c.recv, c.count, c.type, c.op, c.comm, c.stream);
}
Pieces expect_all_reduce(size_t count, const Who&) {
  return {{0, count, kAllRanks, 0}};
}

tuttiResult_t call_all_gather(const Call& c) {
  return tuttiAllGather(c.send, c.recv, c.count, c.type, c.comm, c.stream);
}
Shape shape_all_gather(size_t count, const Who& who) {
  return {count, who.ranks * count, who.rank * count, 0};
}
Pieces expect_all_gather(size_t count, const Who& who) {
  Pieces pieces;
  for (int r = 0; r < who.ranks; ++r) pieces.push_back({r * count, count, r, 0});
  return pieces;
}

tuttiResult_t call_reduce_scatter(const Call& c) {
  return tuttiReduceScatter(c.send, c.recv, c.count, c.type, c.op, c.comm, c.stream);
}
Shape shape_reduce_scatter(size_t count, const Who& who) {
  return {who.ranks * count, count, 0, who.rank * count};
}
Pieces expect_reduce_scatter(size_t count, const Who& who) {
  return {{0, count, kAllRanks, who.rank * count}};
}

tuttiResult_t call_all_to_all(const Call& c) {
  return tuttiAlltoAll(c.send, c.recv, c.count, c.type, c.comm, c.stream);
}
Pieces expect_all_to_all(size_t count, const Who& who) {
  Pieces pieces;
  for (int r = 0; r < who.ranks; ++r) pieces.push_back({r * count, count, r, who.rank * count});
  return pieces;
}

// ---- all-to-all of unequal blocks: half a block between ranks of equal parity, one and a half otherwise

size_t uneven(size_t count, int from, int to) {
  return (from + to) % 2 == 0 ? count / 2 : count + count / 2;
}
struct Uneven {
  std::vector<size_t> send, recv, send_at, recv_at;
  size_t send_total = 0, recv_total = 0;
};
Uneven uneven_blocks(size_t count, const Who& who) {
  Uneven blocks;
  for (int r = 0; r < who.ranks; ++r) {
    blocks.send_at.push_back(blocks.send_total);
    blocks.recv_at.push_back(blocks.recv_total);
    blocks.send.push_back(uneven(count, who.rank, r));
    blocks.recv.push_back(uneven(count, r, who.rank));
    blocks.send_total += blocks.send.back();
    blocks.recv_total += blocks.recv.back();
  }
  return blocks;
}
tuttiResult_t call_all_to_all_v(const Call& c) {
  // Built once per size, so that the timed calls pay for the collective only; a thread may drive several ranks.
  static thread_local std::vector<Uneven> cached;
  static thread_local size_t cached_count = ~size_t{0};
  const auto rank = static_cast<size_t>(c.who.rank);
  if (cached_count != c.count) cached.clear();
  cached_count = c.count;
  if (cached.size() <= rank) cached.resize(rank + 1);
  if (cached[rank].send.empty()) cached[rank] = uneven_blocks(c.count, c.who);
  const Uneven& blocks = cached[rank];
  return tuttiAlltoAllV(c.send, blocks.send.data(), blocks.send_at.data(), c.recv, blocks.recv.data(), blocks.recv_at.data(),
                        c.type, c.comm, c.stream);
}
Shape shape_all_to_all_v(size_t count, const Who& who) {
  const Uneven blocks = uneven_blocks(count, who);
  return {blocks.send_total, blocks.recv_total};
}
Pieces expect_all_to_all_v(size_t count, const Who& who) {
  const Uneven mine = uneven_blocks(count, who);
  Pieces pieces;
  for (int r = 0; r < who.ranks; ++r) {
    const Uneven theirs = uneven_blocks(count, {r, who.ranks, who.root});
    pieces.push_back({mine.recv_at[r], mine.recv[r], r, theirs.send_at[who.rank]});
  }
  return pieces;
}

// ---- blocks of unequal size, the same list on all ranks: odd ranks' are three times as long as even ranks'
//      (of an odd number of ranks the last one's is in between, so that all together are ranks * count)

size_t block_of(size_t count, int rank, int ranks) {
  if (rank % 2 == 1) return count + count / 2;
  return rank == ranks - 1 ? count : count - count / 2;
}
size_t block_start(size_t count, int rank, int ranks) {
  size_t start = 0;
  for (int r = 0; r < rank; ++r) start += block_of(count, r, ranks);
  return start;
}
// Built once per size, so that the timed calls pay for the collective only.
const size_t* blocks_of(const Call& c) {
  static thread_local std::vector<size_t> cached;
  static thread_local size_t cached_count = ~size_t{0};
  if (cached_count != c.count) {
    cached.clear();
    for (int r = 0; r < c.who.ranks; ++r) cached.push_back(block_of(c.count, r, c.who.ranks));
    cached_count = c.count;
  }
  return cached.data();
}

tuttiResult_t call_all_gather_v(const Call& c) {
  return tuttiAllGatherV(c.send, c.recv, blocks_of(c), nullptr, c.type, c.comm, c.stream);
}
Shape shape_all_gather_v(size_t count, const Who& who) {
  return {block_of(count, who.rank, who.ranks), who.ranks * count, block_start(count, who.rank, who.ranks), 0};
}
Pieces expect_all_gather_v(size_t count, const Who& who) {
  Pieces pieces;
  for (int r = 0; r < who.ranks; ++r)
    pieces.push_back({block_start(count, r, who.ranks), block_of(count, r, who.ranks), r, 0});
  return pieces;
}

tuttiResult_t call_reduce_scatter_v(const Call& c) {
  return tuttiReduceScatterV(c.send, c.recv, blocks_of(c), c.type, c.op, c.comm, c.stream);
}
Shape shape_reduce_scatter_v(size_t count, const Who& who) {
  return {who.ranks * count, block_of(count, who.rank, who.ranks), 0, block_start(count, who.rank, who.ranks)};
}
Pieces expect_reduce_scatter_v(size_t count, const Who& who) {
  return {{0, block_of(count, who.rank, who.ranks), kAllRanks, block_start(count, who.rank, who.ranks)}};
}

// ---- with a root

tuttiResult_t call_broadcast(const Call& c) {
  return tuttiBroadcast(c.send, c.recv, c.count, c.type, c.who.root, c.comm, c.stream);
}
Shape shape_broadcast(size_t count, const Who& who) {
  return {who.rank == who.root ? count : 0, count};
}
Pieces expect_broadcast(size_t count, const Who& who) {
  return {{0, count, who.root, 0}};
}

tuttiResult_t call_reduce(const Call& c) {
  return tuttiReduce(c.send, c.recv, c.count, c.type, c.op, c.who.root, c.comm, c.stream);
}
Shape shape_reduce(size_t count, const Who& who) {
  return {count, who.rank == who.root ? count : 0};
}
Pieces expect_reduce(size_t count, const Who& who) {
  return who.rank == who.root ? Pieces{{0, count, kAllRanks, 0}} : Pieces{};
}

tuttiResult_t call_gather(const Call& c) {
  return tuttiGather(c.send, c.recv, c.count, c.type, c.who.root, c.comm, c.stream);
}
Shape shape_gather(size_t count, const Who& who) {
  return who.rank == who.root ? Shape{count, who.ranks * count, who.root * count, 0} : Shape{count, 0};
}
Pieces expect_gather(size_t count, const Who& who) {
  return who.rank == who.root ? expect_all_gather(count, who) : Pieces{};
}

tuttiResult_t call_scatter(const Call& c) {
  return tuttiScatter(c.send, c.recv, c.count, c.type, c.who.root, c.comm, c.stream);
}
Shape shape_scatter(size_t count, const Who& who) {
  return who.rank == who.root ? Shape{who.ranks * count, count, 0, who.root * count} : Shape{0, count};
}
Pieces expect_scatter(size_t count, const Who& who) {
  return {{0, count, who.root, who.rank * count}};
}

// ---- point to point: everyone sends to the right and receives from the left

int left_of(const Who& who) {
  return (who.rank + who.ranks - 1) % who.ranks;
}
tuttiResult_t call_send_recv(const Call& c) {
  if (const tuttiResult_t result = tuttiGroupStart()) return result;
  tuttiResult_t result = tuttiSend(c.send, c.count, c.type, (c.who.rank + 1) % c.who.ranks, c.comm, c.stream);
  if (result == tuttiSuccess) result = tuttiRecv(c.recv, c.count, c.type, left_of(c.who), c.comm, c.stream);
  const tuttiResult_t end = tuttiGroupEnd();
  return result == tuttiSuccess ? end : result;
}
Pieces expect_send_recv(size_t count, const Who& who) {
  return {{0, count, left_of(who), 0}};
}

// ---- without data

tuttiResult_t call_barrier(const Call& c) {
  return tuttiBarrier(c.comm, c.stream);
}
Shape shape_barrier(size_t, const Who&) {
  return {0, 0};
}
Pieces expect_barrier(size_t, const Who&) {
  return {};
}

constexpr Collective kTable[] = {
    // name           reduces rooted in_place per_block
    {"all_reduce", true, false, true, false, same, expect_all_reduce, call_all_reduce, twice_others},
    {"all_gather", false, false, true, true, shape_all_gather, expect_all_gather, call_all_gather, others},
    {"reduce_scatter", true, false, true, true, shape_reduce_scatter, expect_reduce_scatter, call_reduce_scatter, others},
    {"all_gather_v", false, false, true, true, shape_all_gather_v, expect_all_gather_v, call_all_gather_v, others},
    {"reduce_scatter_v", true, false, true, true, shape_reduce_scatter_v, expect_reduce_scatter_v, call_reduce_scatter_v,
     others},
    {"broadcast", false, true, true, false, shape_broadcast, expect_broadcast, call_broadcast, all},
    {"reduce", true, true, true, false, shape_reduce, expect_reduce, call_reduce, all},
    {"alltoall", false, false, true, true, all_blocks, expect_all_to_all, call_all_to_all, others},
    {"alltoallv", false, false, false, true, shape_all_to_all_v, expect_all_to_all_v, call_all_to_all_v, others},
    {"gather", false, true, true, true, shape_gather, expect_gather, call_gather, others},
    {"scatter", false, true, true, true, shape_scatter, expect_scatter, call_scatter, others},
    {"sendrecv", false, false, false, false, same, expect_send_recv, call_send_recv, all},
    {"barrier", false, false, false, false, shape_barrier, expect_barrier, call_barrier, all, false},
};

}  // namespace

const Collective* find_collective(const char* name) {
  for (const Collective& row : kTable)
    if (std::strcmp(row.name, name) == 0) return &row;
  return nullptr;
}

size_t size_of(tuttiDataType_t type) {
  switch (type) {
    case tuttiInt32:
    case tuttiUint32:
    case tuttiFloat32: return 4;
    case tuttiInt64:
    case tuttiUint64:
    case tuttiFloat64: return 8;
    case tuttiFloat16:
    case tuttiBfloat16: return 2;
    default: return 1;
  }
}

}  // namespace tutti::perf

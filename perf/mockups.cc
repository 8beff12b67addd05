// mockups: see mockups.h.
//
// Where a whole message is cut into blocks, block = count / ranks; the few elements that are left over are moved by a call of
// the collective itself.
#include "perf/mockups.h"

#include <cstring>

namespace tutti::perf {
namespace {

size_t bytes_of(const Call& c, size_t elements) {
  return elements * size_of(c.type);
}
const std::byte* at(const void* buffer, const Call& c, size_t element) {
  return static_cast<const std::byte*>(buffer) + bytes_of(c, element);
}
std::byte* at(void* buffer, const Call& c, size_t element) {
  return static_cast<std::byte*>(buffer) + bytes_of(c, element);
}

// Of the calling thread; grows in the untimed calls that come first.
std::byte* scratch(const Call& c, size_t elements) {
  static thread_local std::vector<std::byte> memory;
  if (memory.size() < bytes_of(c, elements)) memory.resize(bytes_of(c, elements));
  return memory.data();
}

using Result = tuttiResult_t;

Result all_reduce_by_reduce_broadcast(const Call& c) {
  if (const Result bad = tuttiReduce(c.send, c.recv, c.count, c.type, c.op, 0, c.comm, nullptr)) return bad;
  return tuttiBroadcast(c.recv, c.recv, c.count, c.type, 0, c.comm, nullptr);
}

Result all_reduce_by_reduce_scatter_all_gather(const Call& c) {
  const size_t block = c.count / c.who.ranks, whole = block * c.who.ranks;
  std::byte* const mine = at(c.recv, c, block * c.who.rank);
  if (block) {
    if (const Result bad = tuttiReduceScatter(c.send, mine, block, c.type, c.op, c.comm, nullptr)) return bad;
    if (const Result bad = tuttiAllGather(mine, c.recv, block, c.type, c.comm, nullptr)) return bad;
  }
  if (whole == c.count) return tuttiSuccess;
  return tuttiAllReduce(at(c.send, c, whole), at(c.recv, c, whole), c.count - whole, c.type, c.op, c.comm, nullptr);
}

Result reduce_scatter_by_reduce_and_scatter(const Call& c) {
  const size_t all = c.count * c.who.ranks;
  std::byte* const sum = scratch(c, all);
  if (const Result bad = tuttiReduce(c.send, sum, all, c.type, c.op, 0, c.comm, nullptr)) return bad;
  return tuttiScatter(sum, c.recv, c.count, c.type, 0, c.comm, nullptr);
}

Result reduce_scatter_by_all_reduce(const Call& c) {
  const size_t all = c.count * c.who.ranks;
  std::byte* const sum = scratch(c, all);
  const Result result = tuttiAllReduce(c.send, sum, all, c.type, c.op, c.comm, nullptr);
  std::memcpy(c.recv, at(sum, c, c.count * c.who.rank), bytes_of(c, c.count));
  return result;
}

Result all_gather_by_broadcasts(const Call& c) {
  for (int root = 0; root < c.who.ranks; ++root)
    if (const Result bad = tuttiBroadcast(c.send, at(c.recv, c, c.count * root), c.count, c.type, root, c.comm, nullptr))
      return bad;
  return tuttiSuccess;
}

Result all_gather_by_gather_broadcast(const Call& c) {
  if (const Result bad = tuttiGather(c.send, c.recv, c.count, c.type, 0, c.comm, nullptr)) return bad;
  return tuttiBroadcast(c.recv, c.recv, c.count * c.who.ranks, c.type, 0, c.comm, nullptr);
}

Result all_gather_by_alltoall(const Call& c) {
  std::byte* const copies = scratch(c, c.count * c.who.ranks);
  for (int r = 0; r < c.who.ranks; ++r) std::memcpy(at(copies, c, c.count * r), c.send, bytes_of(c, c.count));
  return tuttiAlltoAll(copies, c.recv, c.count, c.type, c.comm, nullptr);
}

Result broadcast_by_scatter_all_gather(const Call& c) {
  const size_t block = c.count / c.who.ranks, whole = block * c.who.ranks;
  std::byte* const mine = at(c.recv, c, block * c.who.rank);
  if (block) {
    if (const Result bad = tuttiScatter(c.send, mine, block, c.type, c.who.root, c.comm, nullptr)) return bad;
    if (const Result bad = tuttiAllGather(mine, c.recv, block, c.type, c.comm, nullptr)) return bad;
  }
  if (whole == c.count) return tuttiSuccess;
  return tuttiBroadcast(at(c.send, c, whole), at(c.recv, c, whole), c.count - whole, c.type, c.who.root, c.comm, nullptr);
}

Result reduce_by_all_reduce(const Call& c) {
  void* const to = c.who.rank == c.who.root ? c.recv : scratch(c, c.count);
  return tuttiAllReduce(c.send, to, c.count, c.type, c.op, c.comm, nullptr);
}

Result reduce_by_reduce_scatter_gather(const Call& c) {
  const size_t block = c.count / c.who.ranks, whole = block * c.who.ranks;
  std::byte* const mine = scratch(c, block);
  if (block) {
    if (const Result bad = tuttiReduceScatter(c.send, mine, block, c.type, c.op, c.comm, nullptr)) return bad;
    if (const Result bad = tuttiGather(mine, c.recv, block, c.type, c.who.root, c.comm, nullptr)) return bad;
  }
  if (whole == c.count) return tuttiSuccess;
  return tuttiReduce(at(c.send, c, whole), at(c.recv, c, whole), c.count - whole, c.type, c.op, c.who.root, c.comm, nullptr);
}

Result gather_by_all_gather(const Call& c) {
  void* const to = c.who.rank == c.who.root ? c.recv : scratch(c, c.count * c.who.ranks);
  return tuttiAllGather(c.send, to, c.count, c.type, c.comm, nullptr);
}

Result scatter_by_broadcast(const Call& c) {
  std::byte* const all = scratch(c, c.count * c.who.ranks);
  const Result result = tuttiBroadcast(c.send, all, c.count * c.who.ranks, c.type, c.who.root, c.comm, nullptr);
  std::memcpy(c.recv, at(all, c, c.count * c.who.rank), bytes_of(c, c.count));
  return result;
}

Result alltoall_by_scatters(const Call& c) {
  for (int root = 0; root < c.who.ranks; ++root)
    if (const Result bad = tuttiScatter(c.send, at(c.recv, c, c.count * root), c.count, c.type, root, c.comm, nullptr))
      return bad;
  return tuttiSuccess;
}

Result alltoall_by_sends(const Call& c) {
  if (const Result bad = tuttiGroupStart()) return bad;
  Result result = tuttiSuccess;
  for (int peer = 0; peer < c.who.ranks && result == tuttiSuccess; ++peer) {
    result = tuttiSend(at(c.send, c, c.count * peer), c.count, c.type, peer, c.comm, nullptr);
    if (result == tuttiSuccess) result = tuttiRecv(at(c.recv, c, c.count * peer), c.count, c.type, peer, c.comm, nullptr);
  }
  const Result end = tuttiGroupEnd();
  return result == tuttiSuccess ? end : result;
}

Result barrier_by_all_reduce(const Call& c) {
  int8_t mine = 0, sum = 0;
  return tuttiAllReduce(&mine, &sum, 1, tuttiInt8, tuttiSum, c.comm, nullptr);
}

struct Mockup {
  const char *collective, *name;
  Result (*call)(const Call& call);
};
constexpr Mockup kTable[] = {
    {"all_reduce", "reduce+broadcast", all_reduce_by_reduce_broadcast},
    {"all_reduce", "reduce_scatter+all_gather", all_reduce_by_reduce_scatter_all_gather},
    {"reduce_scatter", "reduce+scatter", reduce_scatter_by_reduce_and_scatter},
    {"reduce_scatter", "all_reduce", reduce_scatter_by_all_reduce},
    {"all_gather", "broadcasts", all_gather_by_broadcasts},
    {"all_gather", "gather+broadcast", all_gather_by_gather_broadcast},
    {"all_gather", "alltoall", all_gather_by_alltoall},
    {"broadcast", "scatter+all_gather", broadcast_by_scatter_all_gather},
    {"reduce", "all_reduce", reduce_by_all_reduce},
    {"reduce", "reduce_scatter+gather", reduce_by_reduce_scatter_gather},
    {"gather", "all_gather", gather_by_all_gather},
    {"scatter", "broadcast", scatter_by_broadcast},
    {"alltoall", "scatters", alltoall_by_scatters},
    {"alltoall", "sends", alltoall_by_sends},
    {"barrier", "all_reduce", barrier_by_all_reduce},
};

}  // namespace

std::vector<std::string> mockups_of(const Collective& collective) {
  std::vector<std::string> names;
  for (const Mockup& row : kTable)
    if (std::strcmp(row.collective, collective.name) == 0) names.emplace_back(row.name);
  return names;
}

Collective mockup(const Collective& collective, const std::string& name) {
  Collective made = collective;
  made.in_place = false;
  for (const Mockup& row : kTable)
    if (std::strcmp(row.collective, collective.name) == 0 && name == row.name) made.call = row.call;
  return made;
}

}  // namespace tutti::perf

// schedule: the names and the shape of each collective, as tables.
#include "lib/sched/schedule.h"

namespace tutti {
namespace {

struct Row {
  const char* name;
  bool root, reduces, per_rank_blocks;
};
constexpr Row kRows[kCollectives] = {
    {"AllReduce", false, true, false}, {"Reduce", true, true, false},        {"Broadcast", true, false, false},
    {"AllGather", false, false, true}, {"ReduceScatter", false, true, true}, {"AlltoAll", false, false, true},
    {"Gather", true, false, true},     {"Scatter", true, false, true},
};
const Row& row(Collective collective) {
  return kRows[static_cast<int>(collective)];
}

}  // namespace

const char* name_of(Collective collective) {
  return row(collective).name;
}
bool has_root(Collective collective) {
  return row(collective).root;
}
bool reduces(Collective collective) {
  return row(collective).reduces;
}
uint32_t blocks_of(Collective collective, int ranks) {
  return row(collective).per_rank_blocks ? static_cast<uint32_t>(ranks) : 1;
}

bool has_input(Collective collective, int root, int rank, uint32_t block) {
  switch (collective) {
    case Collective::Broadcast:
    case Collective::Scatter: return rank == root;
    case Collective::AllGather:
    case Collective::Gather: return block == static_cast<uint32_t>(rank);
    default: return true;
  }
}

bool has_output(Collective collective, int root, int rank, uint32_t block) {
  switch (collective) {
    case Collective::Reduce:
    case Collective::Gather: return rank == root;
    case Collective::ReduceScatter:
    case Collective::Scatter: return block == static_cast<uint32_t>(rank);
    default: return true;
  }
}

const char* name_of(Action action) {
  constexpr const char* names[] = {"send", "recv", "recv_reduce", "copy", "reduce"};
  return names[static_cast<int>(action)];
}

const char* name_of(Buffer buffer) {
  constexpr const char* names[] = {"input", "output", "scratch"};
  return names[static_cast<int>(buffer)];
}

}  // namespace tutti

// cost: what prices are made of. Closed forms over the places of the topology, the same on every rank.
//
// Model, as the simulator has it (lib/sched/simulate.h): dependent hops cost the latency of the level they cross; ranks of a
// place share its link; a rank writes what it sends inside its host once, pulls what others wrote, and adds at memory speed; it
// handles its messages one after the other. A message of many tiles costs what its busiest link or rank has to do, the first
// tile the whole way. tests/sim holds prices against the simulator.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <vector>

#include "algorithms/nest.h"
#include "lib/sched/effort.h"
#include "lib/sched/schedule.h"

namespace tutti::cost {

inline constexpr double kMemoryBytesPerSecond = 15e9;  // one rank's reading of what no cache holds
inline constexpr double kCachedBytes = 8 << 20;        // a shorter message is taken to be in a cache
inline constexpr double kTileBytes = 128 << 10;        // TUTTI_TILE, and
inline constexpr double kTilesInFlight = 3;            // TUTTI_TILES_IN_FLIGHT, when nobody sets them

// ---- latencies, and the handling of messages

// Rounds in which each rank talks to one more: the logarithm, rounded up.
inline int rounds(int ranks) {
  return std::bit_width(static_cast<unsigned>(ranks) - 1);
}

// The longest hop.
inline double hop(const Topology& topology) {
  return topology.splits().empty() ? 0 : topology.splits().front().link.latency_s;
}

// What a rank is busy with for one message over a level.
inline double message(const Topology::Split& split) {
  return effort::message(split.link, split.memory);
}

// A message from call to use, with both ranks' handling.
inline double delivery(const Topology::Split& split) {
  return split.link.latency_s + 2 * message(split);
}

// A chain through all ranks that visits every place once.
double chain(const Topology& topology);
// One rank sends, or receives, one message for every other rank.
double messages_to_all(const Topology& topology);
// `count` messages over the outermost level: the rank there sets the pace.
double messages_outward(const Topology& topology, double count);

// Where ranks share cores, all of them have to take their turns for the messages between hosts, which nobody waits for together.
// bytes: of each message.
inline double turns(const Topology& topology, double messages, double bytes) {
  if (topology.crowding() <= 1 || messages == 0) return 0;
  const double cores = topology.ranks() / topology.crowding();
  return messages * (effort::kTurnSeconds + (bytes > effort::kSegmentBytes ? effort::kSegmentsSeconds : 0)) / cores;
}
// Ordered pairs of ranks on different hosts.
double pairs_abroad(const Topology& topology);

// ---- bytes

inline double work(double bytes) {
  return bytes / effort::kWorkBytesPerSecond;
}

// What keeps each of so many ranks busy for that long: where ranks share cores, they take turns.
inline double together(const Topology& topology, double ranks, double seconds) {
  return seconds * std::max(1.0, ranks * topology.crowding() / topology.ranks());
}

// A place on a level that parts ranks.
struct Place {
  size_t level;
  uint32_t number;  // among all of the level
  int size;         // ranks
  int island;       // ranks that could be reached over this level: on levels of memory, those of the host; else all
  Link link;
  bool memory, innermost;

  bool contains(const Topology& topology, int rank) const { return topology.place_in_all(rank, level) == number; }
};
std::vector<Place> places_of(const Topology& topology);
// Ranks that share memory, at most.
int largest_island(const std::vector<Place>& places);

// egress(place): bytes that leave a place, or enter it. Seconds of the busiest. pullers: ranks that pull what is in memory.
template <typename Egress>
double wire(const Topology& topology, double pullers, const Egress& egress) {
  double seconds = 0;
  for (const Place& place : places_of(topology)) {
    const double alone = egress(place) / place.link.bandwidth_Bps;
    seconds = std::max(seconds, place.memory ? together(topology, pullers, alone) : alone);
  }
  return seconds;
}

// Every rank sends `bytes` to each rank outside its place.
double everyone(const Topology& topology, double bytes);
// The root sends `bytes` to each other rank, or receives them.
double one_to_all(const Topology& topology, int root, double bytes);
// The root sends the same `bytes` to each other rank.
double publish(const Topology& topology, int root, double bytes);

// To read a message of `bytes` a number of times more than once, where the peers have to read their memory for it.
inline double read_again(double bytes, double times) {
  return bytes >= kCachedBytes ? times * bytes / kMemoryBytesPerSecond : 0;
}

// Bytes that links carry and ranks handle, added up message by message.
class Load {
 public:
  explicit Load(const Topology& topology);

  // A message from one rank to another, which may add it to what it has. writes: unless it was written for another hop.
  void hop(int from, int to, double bytes, bool adds, bool writes = true);
  // A rank sends `bytes` to others, and receives as much, of which it adds a part. written: what it writes for those of its host, for
  // whom one payload may do. outside(level): the part of the others that is outside its place there.
  template <typename Outside>
  void exchange(int rank, double bytes, double added, double written, const Outside& outside);
  void busy(int rank, double seconds) { cores_[static_cast<size_t>(rank)] += seconds; }
  // Of the busiest link, rank or core.
  double seconds() const;
  // hop()s between hosts.
  double messages() const { return messages_; }

 private:
  const Topology& topology_;
  std::vector<std::vector<double>> out_, in_;  // bytes, per level and place
  std::vector<std::vector<int>> sizes_;        // ranks, per level and place
  std::vector<double> cores_;                  // seconds, per rank
  double messages_ = 0;
  size_t first_memory_;                        // the outermost level of memory; the number of levels if there is none
};

template <typename Outside>
void Load::exchange(int rank, double bytes, double added, double written, const Outside& outside) {
  const size_t depth = topology_.levels().size();
  const double abroad = first_memory_ == 0 ? 0 : outside(first_memory_ - 1);  // to other hosts
  for (size_t level = 0; level < depth; ++level) {
    const bool memory = level >= first_memory_;
    const double crosses = bytes * (memory ? outside(level) - abroad : outside(level));
    const uint32_t place = topology_.place_in_all(rank, level);
    if (!memory || level + 1 < depth) out_[level][place] += crosses;
    in_[level][place] += crosses;
    if (!memory) continue;
    // A pull holds the rank as long as the mates of its outermost new place pull over that place's link, too.
    const double nearer = level == 0 ? 0 : outside(level - 1);
    busy(rank, bytes * (outside(level) - nearer) * sizes_[level][place] / topology_.uplink(rank, level).bandwidth_Bps);
  }
  // Inside the host all is written, and added or stored.
  busy(rank, work(first_memory_ < depth ? added * abroad + (bytes + written) * (1 - abroad) : added));
}

// way: seconds for the whole message if it were one tile; load: of the busiest link or rank. Tiles follow each other; a rank
// takes up a tile when it is done with an earlier one, `held` of the way after it began that.
inline double pipelined(double way, double load, double bytes, double tile_bytes, double held = 0) {
  const double tiles = std::max(1.0, bytes / tile_bytes);
  return way / tiles + std::max(load, held * way / kTilesInFlight) * (tiles - 1) / tiles;
}

// A tree of ranks through which `bytes` go down from the root, or up to it and are added. Seconds until the last rank (or the
// root) has them: of the hops and messages, and for the bytes.
struct Course {
  double start, bytes;
};
// order: every child after its parent, in the order in which a parent sends; parent: by rank, -1 for the root.
Course tree_down(const Topology& topology, const std::vector<int>& order, const std::vector<int>& parent, double bytes);
Course tree_up(const Topology& topology, const std::vector<int>& order, const std::vector<int>& parent, double bytes);

// AllReduce, ReduceScatter or AllGather along the owners' trees of a nest (algorithms/nested.h).
double nested(const Problem& problem, const Nest& nest, double bytes);
// Broadcast or Reduce.
double nested_rooted(const Problem& problem, const Nest& nest, double bytes);

}  // namespace tutti::cost

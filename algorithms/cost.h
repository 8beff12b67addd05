// cost: what prices are made of. Closed forms over the levels of the topology, the same on every rank.
//
// Model: dependent hops cost the latency of the level they cross; the ranks of a place share the place's link, so a level
// costs the bytes that leave its busiest place over the link's bandwidth, and levels work at the same time; a rank handles
// its messages one after the other and reduces at memory speed.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>

#include "lib/sched/schedule.h"

namespace tutti::cost {

inline constexpr double kMessageSeconds = 40e-9;       // a rank is busy with one message: a cell written or read
inline constexpr double kMessageShare = 0.05;          // ... or this share of its link's latency, where that is more
inline constexpr double kReduceBytesPerSecond = 30e9;  // one rank's work on what others sent: adding it, or copying it
inline constexpr double kMemoryBytesPerSecond = 15e9;  // one rank's reading of what no cache holds
inline constexpr double kCachedBytes = 8 << 20;        // a message up to here is taken to be in a cache

// Rounds in which each rank talks to one more: the logarithm, rounded up.
inline int rounds(int ranks) {
  return std::bit_width(static_cast<unsigned>(ranks) - 1);
}

// The longest hop.
inline double hop(const Topology& topology) {
  return topology.splits().empty() ? 0 : topology.splits().front().link.latency_s;
}

// One hop on every level.
inline double descent(const Topology& topology) {
  double seconds = 0;
  for (const Topology::Split& split : topology.splits()) seconds += split.link.latency_s;
  return seconds;
}

// A binomial tree over places, then inside them.
inline double binomial(const Topology& topology) {
  double seconds = 0;
  for (const Topology::Split& split : topology.splits()) seconds += rounds(split.fan) * split.link.latency_s;
  return seconds;
}

// A chain through all ranks that visits every place once.
inline double chain(const Topology& topology) {
  double seconds = 0;
  int outside = 1;
  for (const Topology::Split& split : topology.splits()) {
    seconds += (split.places - outside) * split.link.latency_s;
    outside = split.places;
  }
  return seconds;
}

// egress(split): the bytes that leave the busiest place of a level.
template <typename Egress>
double wire(const Topology& topology, const Egress& egress) {
  double seconds = 0;
  for (const Topology::Split& split : topology.splits())
    seconds = std::max(seconds, egress(split) / split.link.bandwidth_Bps);
  return seconds;
}

// Every rank sends `bytes` to each rank outside its place.
inline double everyone(const Topology& topology, double bytes) {
  return wire(topology, [&](const Topology::Split& split) {
    return static_cast<double>(split.size) * (topology.ranks() - split.size) * bytes;
  });
}

// One rank sends `bytes` to each rank outside its place (or receives them).
inline double one_to_all(const Topology& topology, double bytes) {
  return wire(topology, [&](const Topology::Split& split) { return (topology.ranks() - split.size) * bytes; });
}

// One rank sends the same `bytes` to each rank outside its place.
inline double publish(const Topology& topology, double bytes) {
  return wire(topology, [&](const Topology::Split& split) {
    return split.memory ? bytes : (topology.ranks() - split.size) * bytes;
  });
}

// Every place lets `bytes` out (or in).
inline double through(const Topology& topology, double bytes) {
  return wire(topology, [&](const Topology::Split&) { return bytes; });
}

// What a rank is busy with for one message over a level.
inline double message(const Topology::Split& split) {
  return std::max(kMessageSeconds, kMessageShare * split.link.latency_s);
}

// For one message to every rank.
inline double messages_to_all(const Topology& topology) {
  double seconds = 0;
  int outside = topology.ranks();
  for (const Topology::Split& split : topology.splits()) {
    seconds += (outside - split.size) * message(split);
    outside = split.size;
  }
  return seconds;
}

// For one message to a counterpart in every place next to the own one.
inline double messages_to_places(const Topology& topology) {
  double seconds = 0;
  for (const Topology::Split& split : topology.splits()) seconds += (split.fan - 1) * message(split);
  return seconds;
}

// For the messages of a binomial tree, or of doubling.
inline double messages_to_partners(const Topology& topology) {
  double seconds = 0;
  for (const Topology::Split& split : topology.splits()) seconds += rounds(split.fan) * message(split);
  return seconds;
}

// For `count` messages over the outermost level: the rank there sets the pace.
inline double messages_outward(const Topology& topology, double count) {
  return topology.splits().empty() ? 0 : count * message(topology.splits().front());
}

// To read a message of `bytes` a number of times more than once, where the peers have to read their memory for it.
inline double read_again(double bytes, double times) {
  return bytes > kCachedBytes ? times * bytes / kMemoryBytesPerSecond : 0;
}

inline double reduction(double bytes) {
  return bytes / kReduceBytesPerSecond;
}

}  // namespace tutti::cost

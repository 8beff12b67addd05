// network: the links of a topology, numbered, and the way of a message over them.
//
// Every place has a link out and a link in. A message between hosts leaves its sender's places and enters its receiver's, from
// the level on which they differ inwards as far as there is a network. Inside a host's memory a payload is written once and each
// reader pulls it: a pull enters the reader's places, and leaves the sender's but for the innermost one, where it was written.
#pragma once
#include <vector>

#include "lib/sched/flows.h"
#include "lib/topo/topology.h"

namespace tutti {

struct Way {
  uint32_t path;        // of Flows
  Picoseconds latency;  // until a message, sent or written, is noticed
  Picoseconds effort;   // what sender and receiver each are busy with
  Picoseconds longer;   // more latency of messages above effort::kSegmentBytes
  bool memory;          // written once, and pulled
};

// A place's two links.
struct LinkUse {
  size_t level;
  uint32_t place;  // among all of the level
  int rank;        // the lowest in it
  Link link;
  double out_bytes, in_bytes;
};

class Network {
 public:
  explicit Network(const Topology& topology);

  Way way(int from, int to);
  Flows& flows() { return flows_; }
  // What every place carried, outermost level first.
  std::vector<LinkUse> used() const;

 private:
  uint32_t out_of(int rank, size_t level) const { return first_[level] + 2 * topology_.place_in_all(rank, level); }
  uint32_t into(int rank, size_t level) const { return out_of(rank, level) + 1; }
  std::vector<double> capacities();

  const Topology& topology_;
  std::vector<uint32_t> first_;  // per level: its first link
  std::vector<LinkUse> places_;
  Flows flows_;
};

}  // namespace tutti

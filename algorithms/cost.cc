// cost: see cost.h.
#include "algorithms/cost.h"

#include <numeric>

namespace tutti::cost {

double chain(const Topology& topology) {
  double seconds = 0;
  int outside = 1;
  for (const Topology::Split& split : topology.splits()) {
    seconds += (split.places - outside) * delivery(split);
    outside = split.places;
  }
  return seconds;
}

double messages_to_all(const Topology& topology) {
  double seconds = 0;
  int outside = topology.ranks();
  for (const Topology::Split& split : topology.splits()) {
    seconds += (outside - split.size) * message(split);
    outside = split.size;
  }
  return seconds;
}

double messages_outward(const Topology& topology, double count) {
  return topology.splits().empty() ? 0 : count * message(topology.splits().front());
}

double pairs_abroad(const Topology& topology) {
  double pairs = 0;
  for (int a = 0; a < topology.ranks(); ++a)
    for (int b = 0; b < topology.ranks(); ++b) pairs += a != b && !topology.levels()[topology.divergence(a, b)].memory;
  return pairs;
}

// ---- bytes

std::vector<Place> places_of(const Topology& topology) {
  std::vector<Place> places;
  // Per rank: of its innermost place so far.
  std::vector<int> island(static_cast<size_t>(topology.ranks()), topology.ranks());
  for (const Topology::Split& split : topology.splits()) {
    const size_t first = places.size();
    const bool innermost = &split == &topology.splits().back();
    for (int rank = 0; rank < topology.ranks(); ++rank) {
      const uint32_t number = topology.place_in_all(rank, split.level);
      if (first + number == places.size())  // they are numbered by their lowest rank
        places.push_back({split.level, number, 0, split.memory ? island[static_cast<size_t>(rank)] : topology.ranks(),
                          topology.uplink(rank, split.level), split.memory, innermost});
      ++places[first + number].size;
    }
    for (int rank = 0; rank < topology.ranks() && !split.memory; ++rank)
      island[static_cast<size_t>(rank)] = places[first + topology.place_in_all(rank, split.level)].size;
  }
  return places;
}

int largest_island(const std::vector<Place>& places) {
  int largest = 1;
  for (const Place& place : places)
    if (place.memory) largest = std::max(largest, place.island);
  return largest;
}

double everyone(const Topology& topology, double bytes) {
  return wire(topology, topology.ranks(),
              [&](const Place& place) { return place.size * double(place.island - place.size) * bytes; });
}

double one_to_all(const Topology& topology, int root, double bytes) {
  return wire(topology, 1, [&](const Place& place) {
    return (place.contains(topology, root) ? place.island - place.size : place.size) * bytes;
  });
}

double publish(const Topology& topology, int root, double bytes) {
  return wire(topology, topology.ranks() - 1, [&](const Place& place) {
    if (!place.contains(topology, root)) return place.size * bytes;
    if (place.memory && place.innermost) return 0.0;  // written once, pulled by each
    return (place.island - place.size) * bytes;
  });
}

Load::Load(const Topology& topology) : topology_(topology), cores_(static_cast<size_t>(topology.ranks())), first_memory_(0) {
  while (first_memory_ < topology.levels().size() && !topology.levels()[first_memory_].memory) ++first_memory_;
  for (size_t level = 0; level < topology.levels().size(); ++level) {
    std::vector<int>& sizes = sizes_.emplace_back();
    for (int rank = 0; rank < topology.ranks(); ++rank) {
      const uint32_t place = topology.place_in_all(rank, level);
      if (place >= sizes.size()) sizes.resize(place + 1);
      ++sizes[place];
    }
    out_.emplace_back(sizes.size());
    in_.emplace_back(sizes.size());
  }
}

void Load::hop(int from, int to, double bytes, bool adds, bool writes) {
  const size_t depth = topology_.levels().size(), outermost = topology_.divergence(from, to);
  const bool memory = outermost >= first_memory_;
  for (size_t level = outermost; level < (memory ? depth : first_memory_); ++level) {
    if (!memory || level + 1 < depth) out_[level][topology_.place_in_all(from, level)] += bytes;
    in_[level][topology_.place_in_all(to, level)] += bytes;
  }
  messages_ += !memory;
  if (memory) busy(to, bytes / topology_.link(from, to).bandwidth_Bps);
  if (memory || adds) busy(to, work(bytes));
  if (memory && writes) busy(from, work(bytes));
}

double Load::seconds() const {
  // Ranks that share cores take turns.
  const double all = std::accumulate(cores_.begin(), cores_.end(), 0.0) * topology_.crowding() / topology_.ranks();
  double seconds = std::max(all, *std::max_element(cores_.begin(), cores_.end()));
  for (size_t level = 0; level < out_.size(); ++level)
    for (int rank = 0; rank < topology_.ranks(); ++rank) {
      const uint32_t place = topology_.place_in_all(rank, level);
      seconds =
          std::max(seconds, std::max(out_[level][place], in_[level][place]) / topology_.uplink(rank, level).bandwidth_Bps);
    }
  return seconds;
}

// ---- trees

Course tree_down(const Topology& topology, const std::vector<int>& order, const std::vector<int>& parent, double bytes) {
  std::vector<Course> at(parent.size(), {0, 0});
  std::vector<double> sent(parent.size(), 0), posted(parent.size(), 0);  // by each parent so far, over the network
  Course longest{0, 0};
  for (const int rank : order) {
    const int from = parent[static_cast<size_t>(rank)];
    if (from < 0) continue;
    const Link link = topology.link(from, rank);
    const bool memory = topology.levels()[topology.divergence(from, rank)].memory;
    double& before = sent[static_cast<size_t>(from)];
    double& messages = posted[static_cast<size_t>(from)];
    const double message = effort::message(link, memory);
    messages += message;
    if (!memory) before += bytes / link.bandwidth_Bps;
    Course& mine = at[static_cast<size_t>(rank)];
    mine = at[static_cast<size_t>(from)];
    mine.start += messages + link.latency_s + message;
    mine.bytes += memory ? work(2 * bytes) + bytes / link.bandwidth_Bps : before;
    longest = {std::max(longest.start, mine.start), std::max(longest.bytes, mine.bytes)};
  }
  return longest;
}

// A rank adds what its children send when all of it is there.
Course tree_up(const Topology& topology, const std::vector<int>& order, const std::vector<int>& parent, double bytes) {
  std::vector<Course> there(parent.size(), {0, 0}), handling(parent.size(), {0, 0});
  Course root{0, 0};
  for (size_t i = order.size(); i-- > 0;) {
    const size_t rank = static_cast<size_t>(order[i]);
    const Course mine{there[rank].start + handling[rank].start, there[rank].bytes + handling[rank].bytes};
    if (parent[rank] < 0) {
      root = mine;
      continue;
    }
    const size_t to = static_cast<size_t>(parent[rank]);
    const Link link = topology.link(order[i], parent[rank]);
    const bool memory = topology.levels()[topology.divergence(order[i], parent[rank])].memory;
    const double transfer = bytes / link.bandwidth_Bps, message = effort::message(link, memory);
    there[to].start = std::max(there[to].start, mine.start + message + link.latency_s);
    there[to].bytes = std::max(there[to].bytes, mine.bytes + (memory ? work(bytes) : transfer));
    handling[to].start += message;
    handling[to].bytes += (memory ? transfer : 0) + work(bytes);
  }
  return root;
}

}  // namespace tutti::cost

// nest: builds the three kinds of trees and deals chunks to owners; see nest.h.
//
// Dealing: the top takes chunk % fan, the next level the quotient, and so on; the innermost places deal contiguous runs, so
// that what moves inside a place are long runs. The number of chunks is the product of the fans (the largest of each level),
// so equal places share exactly equally; a cap bounds it for very uneven places, which then share nearly equally.
#include "algorithms/nest.h"

#include <algorithm>
#include <cassert>
#include <numeric>

namespace tutti {
namespace {

constexpr uint32_t kMaxChunksPerRank = 4;

// By the outermost level on which they differ.
std::vector<std::vector<int>> by_place(const Topology& topology, const std::vector<int>& ranks) {
  size_t level = topology.levels().size() - 1;
  for (size_t i = 1; i < ranks.size(); ++i) level = std::min(level, topology.divergence(ranks[0], ranks[i]));
  std::vector<std::vector<int>> groups;
  for (int rank : ranks) {
    const size_t place = topology.place(rank, level);
    if (place >= groups.size()) groups.resize(place + 1);
    groups[place].push_back(rank);
  }
  std::erase_if(groups, [](const std::vector<int>& group) { return group.empty(); });
  return groups;
}

std::vector<std::vector<int>> one_by_one(const Topology&, const std::vector<int>& ranks) {
  std::vector<std::vector<int>> groups;
  for (int rank : ranks) groups.push_back({rank});
  return groups;
}

std::vector<std::vector<int>> in_halves(const Topology&, const std::vector<int>& ranks) {
  const auto middle = ranks.begin() + static_cast<ptrdiff_t>((ranks.size() + 1) / 2);
  return {{ranks.begin(), middle}, {middle, ranks.end()}};
}

}  // namespace

void Nest::grow(const Topology& topology, const std::vector<int>& ranks, int parent, Part part) {
  const int index = static_cast<int>(nodes_.size());
  Node fresh{static_cast<int>(order_.size()), 0, 0, parent, 1, 1, {}};
  if (parent >= 0) {
    Node& above = nodes_[static_cast<size_t>(parent)];
    above.children.push_back(index);
    fresh.depth = above.depth + 1;
  }
  nodes_.push_back(fresh);
  depth_ = std::max(depth_, fresh.depth);
  if (ranks.size() == 1) {
    order_.push_back(ranks[0]);
    leaves_[static_cast<size_t>(ranks[0])] = index;
  } else {
    for (const std::vector<int>& group : part(topology, ranks)) grow(topology, group, index, part);
  }
  nodes_[static_cast<size_t>(index)].last = static_cast<int>(order_.size());
}

Nest Nest::grown(const Topology& topology, const std::vector<int>& ranks, Part part) {
  Nest nest;
  nest.leaves_.resize(ranks.size());
  nest.grow(topology, ranks, -1, part);
  for (Node& node : nest.nodes_)
    for (int child : node.children) {
      Node& below = nest.nodes_[static_cast<size_t>(child)];
      below.weight = node.weight * static_cast<uint32_t>(node.children.size());
      node.span = std::max(node.span, below.last - below.first);
    }
  const uint32_t fan = std::max<uint32_t>(1, static_cast<uint32_t>(nest.node(0).children.size()));
  const uint32_t cap = kMaxChunksPerRank * static_cast<uint32_t>(ranks.size());
  nest.chunks_ = std::min(nest.chunks_needed(0), (cap + fan - 1) / fan * fan);
  return nest;
}

Nest Nest::of(const Topology& topology) {
  std::vector<int> ranks(static_cast<size_t>(topology.ranks()));
  std::iota(ranks.begin(), ranks.end(), 0);
  return grown(topology, ranks, by_place);
}

Nest Nest::flat(const Topology& topology) {
  return grown(topology, of(topology).order_, one_by_one);
}

Nest Nest::binary(const Topology& topology) {
  return grown(topology, of(topology).order_, in_halves);
}

uint32_t Nest::chunks_needed(int index) const {
  uint64_t needed = 1;
  for (int child : node(index).children) needed = std::max<uint64_t>(needed, chunks_needed(child));
  if (!node(index).children.empty()) needed *= node(index).children.size();
  return static_cast<uint32_t>(std::min<uint64_t>(needed, 1u << 30));
}

uint32_t Nest::longest_run() const {
  uint32_t longest = 1;
  for (const Node& node : nodes_) {
    const uint32_t fan = static_cast<uint32_t>(node.children.size());
    if (fan > 0 && node.span == 1) longest = std::max(longest, (chunks_ + fan - 1) / fan);
  }
  return longest;
}

std::vector<int> Nest::order_from(int first) const {
  // Walking up from the leaf, each place appends its other children: the place itself is then one stretch from the front.
  std::vector<int> order{first};
  for (int below = leaf(first), above = node(below).parent; above >= 0; below = above, above = node(above).parent)
    for (int child : node(above).children)
      if (child != below) order.insert(order.end(), order_.begin() + node(child).first, order_.begin() + node(child).last);
  return order;
}

bool Nest::contains(int index, int rank) const {
  return node(index).first <= position(rank) && position(rank) < node(index).last;
}

int Nest::child_with(int index, int rank) const {
  const std::vector<int>& children = node(index).children;
  const auto after = std::upper_bound(children.begin(), children.end(), position(rank),
                                      [&](int at, int child) { return at < node(child).first; });
  return *(after - 1);
}

int Nest::member(int index, uint32_t chunk) const {
  const Node& place = node(index);
  const uint64_t members = place.children.size();
  const uint64_t dealt = (chunks_ + place.weight - 1) / place.weight;
  return rank_at(place.first + static_cast<int>(chunk / place.weight * members / dealt));
}

int Nest::owner(int index, uint32_t chunk) const {
  while (!node(index).children.empty()) {
    const Node& place = node(index);
    if (place.span == 1) return member(index, chunk);
    index = place.children[chunk / place.weight % place.children.size()];
  }
  return rank_at(node(index).first);
}

int Nest::owner_of_home(int index, int home) const {
  if (contains(index, home)) return home;
  while (!node(index).children.empty()) {
    const Node& place = node(index);
    index = place.children[static_cast<uint32_t>(position(home) / place.span) % place.children.size()];
  }
  return rank_at(node(index).first);
}

}  // namespace tutti

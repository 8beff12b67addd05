// nest: the ranks as a tree, as deep and as uneven as the topology, or as flat or as binary as an algorithm likes.
//
// A leaf is a rank; an inner node is a place that parts its ranks. Positions number the leaves from left to right, so every
// node is a range of positions and neighbours in position are neighbours in the topology. For each chunk every node has an
// owner, one of its ranks: the owner of one of its children, chosen so that all ranks own equally much. The owners of a
// chunk form a tree of ranks that crosses each link of the topology at most once in and once out.
#pragma once
#include <cstdint>
#include <vector>

#include "lib/topo/topology.h"

namespace tutti {

class Nest {
 public:
  struct Node {
    int first, last;            // positions [first, last)
    int depth, parent;          // the top has depth 0 and parent -1
    uint32_t weight;            // product of the fans of all nodes above
    int span;                   // ranks in the largest child; 1: all children are leaves
    std::vector<int> children;  // nodes, by position; empty: a leaf
  };

  static Nest of(const Topology& topology);
  // One node over all ranks, in the order of `of`.
  static Nest flat(const Topology& topology);
  // Halves of halves of that order.
  static Nest binary(const Topology& topology);

  int ranks() const { return static_cast<int>(order_.size()); }
  const Node& node(int index) const { return nodes_[static_cast<size_t>(index)]; }
  int top() const { return 0; }
  int leaf(int rank) const { return leaves_[static_cast<size_t>(rank)]; }
  int depth() const { return depth_; }  // of the deepest leaf
  int rank_at(int position) const { return order_[static_cast<size_t>(position)]; }
  int position(int rank) const { return node(leaf(rank)).first; }
  const std::vector<int>& order() const { return order_; }
  // The order with every place that holds `first` moved to the front of its parent: no place is visited twice.
  std::vector<int> order_from(int first) const;
  bool contains(int node, int rank) const;
  int child_with(int node, int rank) const;

  // Chunks to cut a message into so that ownership can be dealt evenly, and the longest run of one owner.
  uint32_t chunks() const { return chunks_; }
  uint32_t longest_run() const;
  // The owner of a chunk of a message cut into chunks().
  int owner(int node, uint32_t chunk) const;
  // The owner of what belongs to `home`: home itself in the nodes that contain it.
  int owner_of_home(int node, int home) const;
  // The member of a node of leaves (span 1) that a chunk falls to.
  int member(int node, uint32_t chunk) const;

 private:
  using Part = std::vector<std::vector<int>> (*)(const Topology&, const std::vector<int>& ranks);
  void grow(const Topology& topology, const std::vector<int>& ranks, int parent, Part part);
  static Nest grown(const Topology& topology, const std::vector<int>& ranks, Part part);
  uint32_t chunks_needed(int node) const;

  std::vector<Node> nodes_;
  std::vector<int> order_, leaves_;
  int depth_ = 0;
  uint32_t chunks_ = 1;
};

}  // namespace tutti

// tree: who is whose parent in the control plane; a pure function of which ranks share a host.
//
//   hosts A (0 1 2 3), B (4 5)   0 -+- 1, 2, 3      The lowest rank of a host leads it. The leaders form a heap among the hosts, and the
//                                   +- 4 --- 5      ranks of a host form a heap below their leader.
//
// So each rank has at most 2 * kFanOut children, and one connection leads from a host to the rest. In the tree's order each rank comes after
// its parent. Rank 0 comes first.
#pragma once
#include <vector>

#include "lib/base/crypto.h"

namespace tutti {

inline constexpr size_t kFanOut = 4;

struct Tree {
  std::vector<int> order;   // all ranks
  std::vector<int> parent;  // by rank; -1: rank 0
};

// `hosts`: by rank, the same for ranks of one host.
Tree plan_tree(const std::vector<Key>& hosts);

// This host: the machine since it was started, and the network namespace.
Key host_identity();

}  // namespace tutti

// algorithm: the row that an algorithm's file exports and algorithms/registry.cc lists.
#pragma once
#include <cstddef>
#include <span>

#include "lib/sched/builder.h"

namespace tutti {

struct Algorithm {
  const char* name;
  // Whether build() can be called for this problem. Must not depend on problem.rank.
  bool (*applies)(const Problem& problem);
  // Writes this rank's steps.
  void (*build)(const Problem& problem, Builder& builder);
  // Seconds for a message of `bytes` (the whole message: all blocks). Closed form; the same on every rank.
  double (*price)(const Problem& problem, size_t bytes);
};

// Every algorithm, in a fixed order. (algorithms/registry.cc)
std::span<const Algorithm> all_algorithms();

}  // namespace tutti

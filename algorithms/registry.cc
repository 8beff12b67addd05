// registry: every algorithm, one row each. A new algorithm is a file, a name in rows.h and a row here; the checker sweep,
// selection and the tools then know it. The order is part of what ranks agree on: of two equal prices the earlier row wins.
#include <array>

#include "algorithms/rows.h"

namespace tutti {

std::span<const Algorithm> all_algorithms() {
  static const std::array rows = {kOneshot, kTwoshot, kRing,     kHierarchical, kDoubling, kHalving,
                                  kTree,    kDtree,   kPairwise, kBruck,        kLinear};
  return rows;
}

}  // namespace tutti

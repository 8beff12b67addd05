// rows: what each algorithm's file exports; registry.cc lists them.
#pragma once
#include "lib/sched/algorithm.h"

namespace tutti {

extern const Algorithm kOneshot, kTwoshot, kRing, kDoubling, kHalving, kTree, kDtree, kPairwise, kBruck, kLinear,
    kHierarchical;

}  // namespace tutti

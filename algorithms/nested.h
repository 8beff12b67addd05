// nested: AllReduce, AllGather, ReduceScatter, Broadcast and Reduce along the owners' trees of a nest.
//
// AllReduce: inside each innermost place the ranks reduce-scatter; the owners of a chunk in neighbouring places reduce it
// among themselves, level by level up to the top; and the way back is the same trees, copying. ReduceScatter is the way up
// towards the rank whose block it is, AllGather the way down from it. Broadcast deals the chunks to the members of the
// root's innermost place; each carries its own to the other places, where it is spread downwards; Reduce is the same
// backwards. A flat nest makes this the two-hop algorithm, a binary one recursive halving and doubling.
#pragma once
#include "algorithms/nest.h"
#include "lib/sched/builder.h"

namespace tutti {

void build_nested(const Nest& nest, Builder& builder);

}  // namespace tutti

// split: how the ranks of a communicator get the id of a new one.
#pragma once
#include "lib/base/settings.h"
#include "lib/comm/options.h"

namespace tutti {

// The child of a communicator of one rank. A negative color: ranks == 0, there is none.
CommOptions child_alone(const CommOptions& parent, int color);
// Collective: the options for this rank of the child in which the parent's ranks of its color are, ordered by key and rank; ranks == 0 if the
// color is negative.
Result<CommOptions> split_comm(const CommOptions& parent, const Settings& settings, Control& control, int color, int key);

}  // namespace tutti

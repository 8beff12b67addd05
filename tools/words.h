// words: what the tools' arguments have in common.
#pragma once
#include <string>

#include "lib/sched/schedule.h"

namespace tutti {

// "allreduce", in any case. Errors: InvalidArgument, with the names that are known.
Result<Collective> parse_collective(const std::string& name);

}  // namespace tutti

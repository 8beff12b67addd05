// select: which algorithm a call uses. A pure function of what all ranks share.
#pragma once
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/sched/algorithm.h"
#include "lib/sched/program.h"

namespace tutti {

struct Choice {
  const Algorithm* algorithm;
  double seconds;  // its price
};

// The algorithms that apply, cheapest first; of equal prices the one listed first. bytes: the whole message, all blocks.
std::vector<Choice> rank_algorithms(const Problem& problem, size_t bytes);

// The cheapest, or the one of that name. Errors: InvalidArgument when the name is unknown or the algorithm does not apply.
Result<const Algorithm*> select(const Problem& problem, size_t bytes, std::string_view forced_name = {});

// What rank problem.rank executes.
Program program_of(const Algorithm& algorithm, const Problem& problem);

}  // namespace tutti

#pragma once
#include "lib/sched/algorithm.h"
#include <string_view>
namespace tutti { Result<const Algorithm*> select(const Problem& problem, size_t bytes, std::string_view forced_name); }

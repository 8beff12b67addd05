// races: two works of one rank that touch the same memory, one of them writing, and neither waits for the other.
#pragma once
#include <optional>

#include "lib/sched/program.h"

namespace tutti {

struct Race {
  uint32_t earlier, later;  // works
  Buffer memory;
  uint32_t chunk;
};

// The first race of a program; exact. in_place: Input is Output's memory.
// REQUIRES: runs within their buffers; dependents later than what they depend on.
std::optional<Race> find_race(const Program& program, bool in_place);

}  // namespace tutti

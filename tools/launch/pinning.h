// pinning: which core a rank runs on.
#pragma once
#include <vector>

namespace tutti::tool {

// One processor per core that this process may use, in hwloc's order (neighbours share caches); then the cores' further
// hardware threads. Empty: unknown.
std::vector<int> usable_cores();

// True if this process may use only a part of the machine: the launcher has placed it, and it should stay there.
bool placed_by_launcher();

// Pins the calling thread. False: not possible.
bool pin_to(int processor);

// The processor the calling thread runs on now.
int current_processor();

}  // namespace tutti::tool

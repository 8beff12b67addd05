// mockups: what a collective could be made of: the same result by calls of other collectives.
//
// A library that takes longer for a collective than for its mock-up has a better algorithm in the house than the one it
// chose; perf/consistency.py looks for such cases. The mock-ups make their calls one after the other on real buffers, because
// times of parts do not add up: a Reduce of which many are under way costs a sender next to nothing.
#pragma once
#include <string>
#include <vector>

#include "perf/collective.h"

namespace tutti::perf {

// "reduce+broadcast" and the like. Empty: the collective has no mock-ups.
std::vector<std::string> mockups_of(const Collective& collective);

// The collective made as `name` says, out of place. Its calls use each other's results and scratch memory of the calling
// thread: one rank a thread, stream NULL, no groups. REQUIRES: name is one of mockups_of().
Collective mockup(const Collective& collective, const std::string& name);

}  // namespace tutti::perf

// trace: a simulation as the text of a Chrome trace: a row per rank with its works, and per pair of ranks the payloads between them.
#pragma once
#include <string>

#include "lib/sched/simulate.h"

namespace tutti {

std::string trace_of(const Topology& topology, const Simulation& simulation);

}  // namespace tutti

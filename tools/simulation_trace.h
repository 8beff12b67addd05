// simulation_trace: a simulation as the text of a Chrome trace. Each rank has a row with its works; each pair of ranks has a row with the payloads
// between them.
#pragma once
#include <string>

#include "lib/sched/simulate.h"

namespace tutti {

std::string trace_of(const Topology& topology, const Simulation& simulation);

}  // namespace tutti

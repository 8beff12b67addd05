// trace: a simulation as a Chrome trace: a row per rank with its works, and per pair of ranks the payloads between them.
#pragma once
#include <string>

#include "lib/sched/simulate.h"

namespace tutti {

// Errors: SystemError when the file cannot be written.
Status write_trace(const std::string& path, const Topology& topology, const Simulation& simulation);

}  // namespace tutti

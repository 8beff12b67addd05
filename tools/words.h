// words: what the tools have in common: arguments, and how a tool ends.
#pragma once
#include <string>

#include "lib/sched/schedule.h"
#include "lib/topo/topology.h"

namespace CLI {
class App;
}

namespace tutti {

// Cores that ranks share.
struct Cores {
  uint32_t number = 0;       // 0: one for each rank
  bool one_machine = false;  // they are those of all hosts together
};
// --cores, as `help` says, and --one-machine.
void add_cores(CLI::App& app, Cores& cores, const char* help);
// Of the text or file of --topo. Only cores of one machine make a difference.
Result<Topology> parse_topology(const std::string& argument, const Cores& cores);

// "allreduce", in any case. Errors: InvalidArgument, with the names that are known.
Result<Collective> parse_collective(const std::string& name);

// The end of a tool: prints a failure on standard error. The exit code: 0; 2 for wrong arguments; 1 for any other failure.
int end_of(const std::string& program, const Status& status, bool wrong_arguments);

}  // namespace tutti

// words: what the tools' arguments have in common.
#pragma once
#include <optional>
#include <string>

#include "lib/sched/schedule.h"

namespace CLI {
class App;
}

namespace tutti {

// Reads the command line. The exit code, if that is all there is to do: after --help, or when the arguments are wrong, which it says.
std::optional<int> parse_arguments(CLI::App& app, const char* tool, int argc, char** argv);

// "allreduce", in any case. Errors: InvalidArgument, with the names that are known.
Result<Collective> parse_collective(const std::string& name);

}  // namespace tutti

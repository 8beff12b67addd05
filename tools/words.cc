// words: see words.h.
#include "tools/words.h"

#include <algorithm>
#include <cctype>
#include <CLI/CLI.hpp>
#include <cstdio>

#include "lib/topo/assemble.h"

namespace tutti {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

}  // namespace

void add_cores(CLI::App& app, Cores& cores, const char* help) {
  CLI::Option* const number = app.add_option("--cores", cores.number, help)->check(CLI::Range(1, Topology::kMaxRanks));
  app.add_flag("--one-machine", cores.one_machine, "the cores are those of all hosts together, as under tutti-cluster")->needs(number);
}

Result<Topology> parse_topology(const std::string& argument, const Cores& cores) {
  return topology_of_argument(argument, cores.one_machine ? cores.number : 0);
}

Result<Collective> parse_collective(const std::string& name) {
  std::string known;
  for (int i = 0; i < kCollectives; ++i) {
    const std::string candidate = lower(name_of(static_cast<Collective>(i)));
    if (lower(name) == candidate) return static_cast<Collective>(i);
    known += (i == 0 ? "" : ", ") + candidate;
  }
  return fail(Code::InvalidArgument, "unknown collective '", name, "' (known: ", known, ")");
}

int end_of(const std::string& program, const Status& status, bool wrong_arguments) {
  if (status.ok()) return 0;
  std::fflush(stdout);
  std::fprintf(stderr, "%s: %s\n", program.c_str(), status.text().c_str());
  return wrong_arguments ? 2 : 1;
}

}  // namespace tutti

// tutti-plan: shows what the library would do. Prints, proves or draws the programs of an algorithm, or explains a choice.
//
//   tutti-plan --collective allreduce --algo ring --ranks 8 print --rank 3
//   tutti-plan --collective allreduce --topo "host:2 core:4" check
//   tutti-plan --algo tree --ranks 8 draw --svg tree.svg --html tree.html
//   tutti-plan --topo "host:2 core:4" --explain allreduce 64K
//   tutti-plan --ranks 4 --cores 2 --explain allreduce 64K
// Exit codes: 0; 1: the checker refuses the programs; 2: bad arguments.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "lib/base/settings.h"
#include "lib/sched/check.h"
#include "lib/sched/print.h"
#include "lib/sched/select.h"
#include "lib/topo/assemble.h"
#include "tools/explain.h"
#include "tools/output.h"
#include "tools/page/diagram.h"
#include "tools/page/page.h"
#include "tools/page/sources.h"
#include "tools/tool.h"
#include "tools/words.h"

namespace {

using namespace tutti;

constexpr int kMostShown = 1024;  // ranks

struct Arguments {
  std::string collective = "allreduce", algorithm, topology, size = "1M", verb, html, svg;
  std::vector<std::string> explain;
  int ranks = -1, root = 0, rank = 0;  // ranks -1: not given
  Cores cores;
  bool all = false, in_place = false, varying = false, mapped = false;
};

Result<Topology> topology_of(const Arguments& arguments) {
  if (arguments.topology.empty()) {
    const int ranks = arguments.ranks == -1 ? 4 : arguments.ranks;
    if (ranks < 1 || ranks > kMostShown)
      return fail(Code::InvalidArgument, "--ranks ", ranks, " is not from 1 to ", kMostShown);
    Cluster alone;
    alone.hosts.push_back({"host", -1, {}, {}, ranks});
    return assemble(alone, arguments.cores.number);
  }
  if (arguments.cores.number > 0 && !arguments.cores.one_machine)
    return fail(Code::InvalidArgument, "--cores with --topo are those of hosts of one machine: say --one-machine");
  Result<Topology> topology = parse_topology(arguments.topology, arguments.cores);
  if (!topology.ok()) return topology;
  const int ranks = topology.value().ranks();
  if (ranks > kMostShown)
    return fail(Code::InvalidArgument, "--topo has ", ranks, " ranks; at most ", kMostShown, " are shown");
  if (arguments.ranks != -1 && arguments.ranks != ranks)
    return fail(Code::InvalidArgument, "--ranks ", arguments.ranks, " and --topo of ", ranks,
                " ranks contradict each other");
  return topology;
}

void print(const Arguments& arguments, const std::vector<Program>& programs) {
  for (int rank = 0; rank < static_cast<int>(programs.size()); ++rank)
    if (arguments.all || rank == arguments.rank)
      std::printf("rank %d: %s", rank, text_of(programs[static_cast<size_t>(rank)]).c_str());
}

// The page and the picture of the programs, by steps.
Status draw_files(const Arguments& arguments, const Problem& problem, const Algorithm& algorithm, const std::vector<Program>& programs) {
  const size_t boxes = show::size_of(programs);
  const auto refuse = [&](const char* option, size_t most, const char* advice) {
    return fail(Code::InvalidArgument, option, ": ", boxes, " works and messages are too many, at most ", most, " can be shown: ", advice);
  };
  if (!arguments.svg.empty() && boxes > show::kMostInDiagram) return refuse("--svg", show::kMostInDiagram, "take fewer ranks, or --html");
  if (boxes > show::kMostOnPage) return refuse("--html", show::kMostOnPage, "take fewer ranks, or tutti-sim --html");
  show::Timeline timeline = show::timeline_of(problem.topology, programs);
  timeline.title = concat(name_of(problem.collective), " by ", algorithm.name, ", ", problem.ranks, problem.ranks == 1 ? " rank" : " ranks");
  timeline.facts = {{"steps", std::to_string(static_cast<int>(timeline.end))},
                    {"messages", std::to_string(timeline.messages.size())},
                    {"chunks", std::to_string(programs[0].chunks)},
                    {"topology", arguments.topology.empty() ? "one host" : arguments.topology}};
  for (const auto& [option, path] : {std::pair("--html", &arguments.html), std::pair("--svg", &arguments.svg)}) {
    if (path->empty()) continue;
    const bool html = path == &arguments.html;
    const std::string trouble = tool::write_file(*path, html ? show::page_of(timeline) : show::diagram_of(timeline));
    if (!trouble.empty()) return fail(Code::SystemError, option, ": ", trouble);
    std::printf("# %s: %s\n", html ? "page" : "picture", path->c_str());
  }
  return {};
}

// Sets `refused` if the checker refuses the programs. Then the library is wrong, not the arguments.
Status run(const Arguments& arguments, bool& refused) {
  const Result<Collective> collective =
      parse_collective(arguments.explain.empty() ? arguments.collective : arguments.explain[0]);
  if (!collective.ok()) return collective.status();
  const Result<Topology> topology = topology_of(arguments);
  if (!topology.ok()) return topology.status();
  const int ranks = topology.value().ranks();
  if (arguments.root < 0 || arguments.root >= ranks)
    return fail(Code::InvalidArgument, "--root ", arguments.root, " is not one of ", ranks, " ranks");
  if (arguments.rank < 0 || arguments.rank >= ranks)
    return fail(Code::InvalidArgument, "--rank ", arguments.rank, " is not one of ", ranks, " ranks");
  for (const auto& [option, path] : {std::pair("--html", &arguments.html), std::pair("--svg", &arguments.svg)})
    if (!path->empty() && (!arguments.explain.empty() || (arguments.verb != "draw" && !arguments.verb.empty())))
      return fail(Code::InvalidArgument, option, " is for draw, not for ", arguments.explain.empty() ? arguments.verb : "--explain");
  const int root = has_root(collective.value()) ? arguments.root : 0;
  if (arguments.mapped && (collective.value() != Collective::AllReduce || ranks != 2 || !topology.value().splits()[0].memory))
    return fail(Code::InvalidArgument, "--mapped is for AllReduce between two ranks of one host: nothing else is chosen by it");
  Problem problem{collective.value(), root, 0, ranks, arguments.in_place, !arguments.varying, topology.value(),
                  arguments.mapped};
  if (!arguments.explain.empty()) {
    if (!arguments.algorithm.empty())
      return fail(Code::InvalidArgument, "--algo and --explain contradict each other: all algorithms are shown");
    const Result<uint64_t> bytes = parse_bytes(arguments.explain[1]);
    if (!bytes.ok()) return fail(Code::InvalidArgument, "--explain: ", bytes.status().text());
    const Result<std::string> text = explain(problem, arguments.explain[1], bytes.value());
    if (text.ok()) std::fputs(text.value().c_str(), stdout);
    return text.ok() ? Status() : text.status();
  }
  if (arguments.verb.empty()) return fail(Code::InvalidArgument, "nothing to do: say print, check, draw or --explain");

  for (const auto& [option, path] : {std::pair("--html", &arguments.html), std::pair("--svg", &arguments.svg)}) {
    if (path->empty()) continue;
    const std::string trouble = tool::cannot_write(*path);
    if (!trouble.empty()) return fail(Code::InvalidArgument, option, ": ", trouble);
  }
  const Result<uint64_t> bytes = parse_bytes(arguments.size);
  if (!bytes.ok()) return fail(Code::InvalidArgument, "--size: ", bytes.status().text());
  bool forced = false;
  const Result<const Algorithm*> algorithm = arguments.algorithm.empty() ? choose(problem, bytes.value(), forced)
                                                                        : select(problem, bytes.value(), arguments.algorithm);
  if (!algorithm.ok()) return algorithm.status();
  std::vector<Program> programs;
  for (problem.rank = 0; problem.rank < ranks; ++problem.rank) programs.push_back(program_of(*algorithm.value(), problem));
  if (arguments.verb == "print") print(arguments, programs);
  const bool to_files = !arguments.html.empty() || !arguments.svg.empty();
  if (to_files) TUTTI_TRY(draw_files(arguments, problem, *algorithm.value(), programs));
  if (arguments.verb == "draw" && !to_files) std::fputs(draw(programs).c_str(), stdout);
  if (arguments.verb == "check") {
    const Status status = check({collective.value(), root, arguments.in_place, !arguments.varying}, programs);
    refused = !status.ok();
    TUTTI_TRY(status);
    size_t works = 0;
    for (const Program& program : programs) works += program.works.size();
    std::printf("%s %s over %d ranks: proved (%zu works)\n", algorithm.value()->name, name_of(collective.value()), ranks,
                works);
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Shows what Tutti would do: prints, proves or draws the programs of an algorithm, or explains a choice.");
  app.add_option("--collective,-c", arguments.collective,
                 "allreduce, reduce, broadcast, allgather, ... (default allreduce)");
  app.add_option("--algo,-a", arguments.algorithm, "algorithm; default: the one that would be chosen for --size");
  app.add_option("--size,-s", arguments.size, "bytes of the whole message, like 64K (default 1M)");
  app.add_option("--ranks,-n", arguments.ranks, "ranks on one host (default 4)");
  app.add_option("--topo,-t", arguments.topology, "topology: text like \"host:2 core:3+5\", or a topology file");
  add_cores(app, arguments.cores, "cores that the ranks of one host share (default: one for each)");
  app.add_option("--root", arguments.root, "root rank (default 0)");
  app.add_option("--rank,-r", arguments.rank, "rank to print (default 0)");
  app.add_flag("--all", arguments.all, "print all ranks");
  app.add_flag("--in-place", arguments.in_place, "input and output are one buffer");
  app.add_flag("--varying", arguments.varying, "blocks of different sizes, as in AllGatherV");
  app.add_flag("--mapped", arguments.mapped, "AllReduce of two ranks that reach into each other's buffers: tuttiMemAlloc's, or of one process");
  app.add_option("--explain", arguments.explain, "collective and size: the choice, its price, the runners-up, and why")
      ->expected(2);
  tool::take_file(app.add_option("--html", arguments.html, "draw: write the schedule, step by step, as a page for a browser to this file"));
  tool::take_file(app.add_option("--svg", arguments.svg, "draw: the same as a picture"));
  app.add_option("verb", arguments.verb, "print, check or draw")->check(CLI::IsMember({"print", "check", "draw"}));
  return tool::run_tool("tutti-plan", app, argc, argv, [&] {
    bool refused = false;
    const Status status = run(arguments, refused);
    return end_of("tutti-plan", status, !refused);
  });
}

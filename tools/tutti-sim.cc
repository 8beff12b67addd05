// tutti-sim: the time that a collective takes on any topology: by the simulator (lib/sched/simulate.h), and by the closed-form price with
// which the library chooses.
//
//   tutti-sim --topo "rack:2 host:4 core:8" --collective allreduce --size 16M
//   tutti-sim --topo "host:4 core:2" -b 8 -e 64M -f 8 --all
//   tutti-sim --topo "host:4 core:2" --size 1M --algo ring --links --trace ring.json --html ring.html
// Exit codes: 0; 1: the simulation failed, or the trace could not be written; 2: wrong arguments, or an output file on the command line
// that cannot be written.
#include <algorithm>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <optional>

#include "lib/base/settings.h"
#include "lib/sched/select.h"
#include "lib/sched/simulate.h"
#include "tools/amounts.h"
#include "tools/explain.h"
#include "tools/output.h"
#include "tools/page/page.h"
#include "tools/page/sources.h"
#include "tools/progress.h"
#include "tools/tool.h"
#include "tools/simulation_trace.h"
#include "tools/words.h"

namespace {

using namespace tutti;
using tool::text_of_bytes;
using tool::text_of_seconds;

constexpr uint64_t kMostMessages = 4'000'000;  // of the programs of one tile: above, only the closed form
constexpr uint64_t kMostSent = 6'000'000;      // in one simulation: above, tiles are made longer
constexpr size_t kMostEvents = 1'000'000;      // in a trace
constexpr size_t kMostSizes = 1000;

struct Arguments {
  std::string collective = "allreduce", topology, algorithm, tile = "128K", trace, html, least, most;
  std::vector<std::string> sizes;
  int root = 0;
  uint64_t factor = 2;
  uint32_t window = 3;
  Cores cores;
  bool all = false, links = false;
};

// What one line says.
struct Outcome {
  const Algorithm* algorithm;
  double price_s;
  bool simulated;
  size_t tile_bytes;
  Simulation simulation;
  double seconds() const { return simulated ? simulation.seconds : price_s; }
};

Result<uint64_t> size_of(const std::string& text, const char* option) {
  Result<uint64_t> bytes = parse_bytes(text);
  if (!bytes.ok()) return fail(Code::InvalidArgument, option, ": ", bytes.status().text());
  if (bytes.value() > uint64_t{1} << 50)
    return fail(Code::InvalidArgument, option, ": ", text, " is more than a message can have");
  return bytes;
}

Result<std::vector<uint64_t>> sizes_of(const Arguments& arguments) {
  std::vector<uint64_t> sizes;
  for (const std::string& text : arguments.sizes) {
    const Result<uint64_t> bytes = size_of(text, "--size");
    if (!bytes.ok()) return bytes.status();
    sizes.push_back(bytes.value());
  }
  if (arguments.least.empty() && arguments.most.empty()) {
    if (sizes.empty()) sizes.push_back(1 << 20);
    return sizes;
  }
  if (!sizes.empty()) return fail(Code::InvalidArgument, "give sizes by --size or by -b and -e, not both");
  const Result<uint64_t> least = size_of(arguments.least.empty() ? arguments.most : arguments.least, "-b");
  const Result<uint64_t> most = size_of(arguments.most.empty() ? arguments.least : arguments.most, "-e");
  if (!least.ok()) return least.status();
  if (!most.ok()) return most.status();
  if (least.value() > most.value())
    return fail(Code::InvalidArgument, "-b ", arguments.least, ": the smallest size is above the largest, -e ",
                arguments.most);
  if (arguments.factor < 2) return fail(Code::InvalidArgument, "-f ", arguments.factor, ": a factor below 2 does not grow");
  for (uint64_t bytes = least.value(); bytes <= most.value() && sizes.size() < kMostSizes;
       bytes = std::max<uint64_t>(1, bytes * arguments.factor))
    sizes.push_back(bytes);
  return sizes;
}

// As nccl-tests count it: what each rank's link would have to carry at least.
double bus_factor(Collective collective, double ranks) {
  switch (collective) {
    case Collective::AllReduce: return 2 * (ranks - 1) / ranks;
    case Collective::Reduce:
    case Collective::Broadcast: return 1;
    default: return (ranks - 1) / ranks;
  }
}

// The link that was needed for the greatest part of the time.
double load_of(const LinkUse& use) {
  return std::max(use.out_bytes, use.in_bytes) / use.link.bandwidth_Bps;
}
const LinkUse* busiest(const Simulation& simulation) {
  const auto it = std::max_element(simulation.links.begin(), simulation.links.end(),
                                   [](const LinkUse& a, const LinkUse& b) { return load_of(a) < load_of(b); });
  return it == simulation.links.end() || load_of(*it) == 0 ? nullptr : &*it;
}

class Tool {
 public:
  // roomy: the topology if there were a core for each rank. Turns are the simulation's part.
  Tool(const Arguments& arguments, const Topology& topology, const Topology& roomy, Collective collective)
      : arguments_(arguments),
        topology_(topology),
        roomy_(roomy),
        problem_{collective, has_root(collective) ? arguments.root : 0, 0, topology.ranks(), false, true, topology},
        blocks_(blocks_of(collective, topology.ranks())) {}

  // wrong: the arguments are; else the simulation failed.
  Status run(const std::vector<uint64_t>& sizes, size_t tile_bytes, bool& wrong) {
    wrong = true;
    std::vector<const Algorithm*> algorithms;
    if (arguments_.all) {
      for (const Choice& choice : rank_algorithms(problem_, sizes.front())) algorithms.push_back(choice.algorithm);
    }
    header(tile_bytes);
    std::fflush(stdout);
    progress_.emplace("simulating", "runs", static_cast<double>(sizes.size() * std::max<size_t>(1, algorithms.size())));
    for (const uint64_t bytes : sizes) {
      if (!arguments_.all) {
        bool forced = false;
        const Result<const Algorithm*> chosen =
            arguments_.algorithm.empty() ? choose(problem_, bytes, forced) : select(problem_, bytes, arguments_.algorithm);
        if (!chosen.ok()) return chosen.status();
        algorithms = {chosen.value()};
      }
      std::vector<Outcome> outcomes;
      for (const Algorithm* algorithm : algorithms) {
        Result<Outcome> outcome = try_one(*algorithm, bytes, tile_bytes);
        if (!outcome.ok()) {
          wrong = outcome.status().code() == Code::InvalidArgument;
          progress_->clear();
          return outcome.status();
        }
        ++runs_done_;
        outcomes.push_back(std::move(outcome.value()));
      }
      std::stable_sort(outcomes.begin(), outcomes.end(),
                       [](const Outcome& a, const Outcome& b) { return a.seconds() < b.seconds(); });
      progress_->clear();
      for (const Outcome& outcome : outcomes) line(bytes, outcome);
      std::fflush(stdout);
      if (sizes.size() == 1 && outcomes.size() == 1 && outcomes[0].simulated) levels(outcomes[0].simulation);
      if (arguments_.links)
        for (const Outcome& outcome : outcomes) places(outcome);
      if (!arguments_.trace.empty()) {
        wrong = false;
        TUTTI_TRY(trace(outcomes[0]));
      }
      if (!arguments_.html.empty()) {
        wrong = false;
        TUTTI_TRY(page(bytes, outcomes[0]));
      }
    }
    for (const std::string& note : notes_) std::printf("# %s\n", note.c_str());
    return {};
  }

 private:
  Result<Outcome> try_one(const Algorithm& algorithm, uint64_t bytes, size_t tile_bytes) {
    Outcome outcome{&algorithm, algorithm.price(problem_, bytes), false, tile_bytes, {}};
    const std::vector<Program>* programs = programs_of(algorithm);
    if (!programs) return outcome;
    const bool paged = !arguments_.html.empty();
    const size_t events = !arguments_.trace.empty() ? kMostEvents : paged ? show::kMostOnPage : 0;
    SimulationOptions options{tile_bytes, arguments_.window, events,
                              arguments_.cores.number, arguments_.cores.one_machine, paged ? show::kLoadSlots : 0};
    options.progress = [&](double share) {
      progress_->at(runs_done_ + share, concat(algorithm.name, ", ", text_of_bytes(static_cast<double>(bytes))));
    };
    const uint64_t tile = std::max<uint64_t>(1, tile_bytes / (*programs)[0].largest_message) * (*programs)[0].chunks;
    for (uint64_t covered = tile; messages_ * ((bytes + covered - 1) / covered) > kMostSent; covered *= 2)
      options.tile_bytes *= 2;
    if (options.tile_bytes != tile_bytes)
      note(concat(algorithm.name, ": tiles of ", text_of_bytes(static_cast<double>(options.tile_bytes)), " instead of ",
                  text_of_bytes(static_cast<double>(tile_bytes)), " for ", text_of_bytes(static_cast<double>(bytes)),
                  ", to bound the events"));
    Result<Simulation> simulation = simulate(roomy_, *programs, blocks_, bytes, options);
    if (!simulation.ok()) return simulation.status();
    outcome.simulated = true;
    outcome.simulation = std::move(simulation.value());
    return outcome;
  }

  // Of the algorithm asked for last; null where they are too large.
  const std::vector<Program>* programs_of(const Algorithm& algorithm) {
    if (algorithm_ != &algorithm) {
      algorithm_ = &algorithm;
      programs_.clear();
      Problem problem = problem_;
      messages_ = 0;
      const bool rooted = has_root(problem.collective);
      if (topology_.ranks() > kMostRanks) messages_ = kMostMessages + 1;
      for (problem.rank = 0; problem.rank < problem.ranks && messages_ <= kMostMessages; ++problem.rank) {
        progress_->at(runs_done_, concat(algorithm.name, ", the programs"));
        programs_.push_back(program_of(algorithm, problem));
        messages_ += programs_.back().targets.size();
        // A look at one rank tells what all send, but for a root.
        if (!rooted && messages_ * static_cast<uint64_t>(problem.ranks) > 2 * kMostMessages && problem.rank == 0)
          messages_ = kMostMessages + 1;
      }
    }
    if (messages_ <= kMostMessages) return &programs_;
    programs_.clear();
    note(concat(algorithm.name, ": ", topology_.ranks(), " ranks are too many to simulate it: the closed form only"));
    return nullptr;
  }

  void note(std::string text) {
    if (std::find(notes_.begin(), notes_.end(), text) == notes_.end()) notes_.push_back(std::move(text));
  }

  void header(size_t tile_bytes) const {
    std::printf("# %s over %d ranks: %s\n", name_of(problem_.collective), topology_.ranks(), arguments_.topology.c_str());
    for (const Topology::Split& split : topology_.splits())
      std::printf("#   %-8s %6d places, %s, %.4g GB/s out and in of each\n", topology_.levels()[split.level].name.c_str(),
                  split.places, text_of_seconds(split.link.latency_s).c_str(), split.link.bandwidth_Bps / 1e9);
    std::printf("# tiles of %s, %u at once\n", text_of_bytes(static_cast<double>(tile_bytes)).c_str(), arguments_.window);
    std::printf("%14s  %-13s %14s %10s %10s %14s  %s\n", "bytes", "algorithm", "time", "algbw GB/s", "busbw GB/s", "price",
                "busiest link");
  }

  void line(uint64_t bytes, const Outcome& outcome) const {
    const double seconds = outcome.seconds(), algbw = seconds > 0 ? static_cast<double>(bytes) / seconds / 1e9 : 0;
    std::printf("%14llu  %-13s %14s %10.3f %10.3f %14s  ", static_cast<unsigned long long>(bytes), outcome.algorithm->name,
                outcome.simulated ? text_of_seconds(seconds).c_str() : "-", algbw,
                algbw * bus_factor(problem_.collective, topology_.ranks()), text_of_seconds(outcome.price_s).c_str());
    const LinkUse* link = outcome.simulated ? busiest(outcome.simulation) : nullptr;
    if (link)
      std::printf("%s, %s %s, %.0f %%\n", place(*link).c_str(),
                  text_of_bytes(std::max(link->out_bytes, link->in_bytes)).c_str(),
                  link->out_bytes >= link->in_bytes ? "out" : "in", 100 * load_of(*link) / seconds);
    else
      std::printf("%s\n", outcome.simulated ? "-" : "by closed form");
  }

  std::string place(const LinkUse& use) const {
    return concat(topology_.levels()[use.level].name, " ", use.place, " (rank ", use.rank, ")");
  }

  void levels(const Simulation& simulation) const {
    std::printf("#\n# %-8s %8s %14s %14s %14s %14s %10s\n", "level", "places", "out of all", "most out", "most in",
                "least out", "busy");
    for (size_t level = 0; level < topology_.levels().size(); ++level) {
      double all = 0, out = 0, in = 0, least = 1e300, load = 0;
      int count = 0;
      for (const LinkUse& use : simulation.links) {
        if (use.level != level) continue;
        ++count;
        all += use.out_bytes;
        out = std::max(out, use.out_bytes);
        in = std::max(in, use.in_bytes);
        least = std::min(least, use.out_bytes);
        load = std::max(load, load_of(use));
      }
      std::printf("# %-8s %8d %14s %14s %14s %14s %8.0f %%\n", topology_.levels()[level].name.c_str(), count,
                  text_of_bytes(all).c_str(), text_of_bytes(out).c_str(), text_of_bytes(in).c_str(),
                  text_of_bytes(least).c_str(), 100 * load / simulation.seconds);
    }
    double most = 0, sum = 0;
    for (const Simulation::Rank& rank : simulation.ranks) {
      most = std::max(most, rank.busy_s);
      sum += rank.busy_s;
    }
    std::printf("# ranks busy: %.1f %% on average, %.1f %% at most; %llu messages in %llu %s\n",
                100 * sum / static_cast<double>(simulation.ranks.size()) / simulation.seconds,
                100 * most / simulation.seconds, static_cast<unsigned long long>(simulation.messages),
                static_cast<unsigned long long>(simulation.tiles), simulation.tiles == 1 ? "tile" : "tiles");
  }

  void places(const Outcome& outcome) const {
    if (!outcome.simulated) return;
    for (const LinkUse& use : outcome.simulation.links)
      if (use.out_bytes + use.in_bytes > 0)
        std::printf("#   %-13s %-24s out %14.0f  in %14.0f bytes, busy %.0f %%\n", outcome.algorithm->name,
                    place(use).c_str(), use.out_bytes, use.in_bytes, 100 * load_of(use) / outcome.simulation.seconds);
  }

  Status trace(const Outcome& outcome) {
    if (!outcome.simulated) return fail(Code::InvalidUsage, "no trace: ", notes_.empty() ? "not simulated" : notes_.back());
    if (outcome.simulation.events_cut) std::printf("# the trace holds the first %zu events\n", kMostEvents);
    const std::string trouble = tool::write_file(arguments_.trace, trace_of(topology_, outcome.simulation));
    if (!trouble.empty()) return fail(Code::SystemError, "--trace: ", trouble);
    std::printf("# trace of %zu events: %s (chrome://tracing, ui.perfetto.dev)\n", outcome.simulation.events.size(),
                arguments_.trace.c_str());
    return {};
  }

  Status page(uint64_t bytes, const Outcome& outcome) {
    if (!outcome.simulated) return fail(Code::InvalidUsage, "no page: ", notes_.empty() ? "not simulated" : notes_.back());
    show::Timeline timeline = show::timeline_of(topology_, programs_, outcome.simulation);
    const double seconds = outcome.seconds(), algbw = seconds > 0 ? static_cast<double>(bytes) / seconds / 1e9 : 0;
    const auto rate = [](double GBps) {
      char text[32];
      std::snprintf(text, sizeof text, "%.3f GB/s", GBps);
      return std::string(text);
    };
    timeline.title = concat(name_of(problem_.collective), " of ", text_of_bytes(static_cast<double>(bytes)), " by ", outcome.algorithm->name,
                            ", ", topology_.ranks(), topology_.ranks() == 1 ? " rank" : " ranks");
    timeline.facts = {{"time", text_of_seconds(seconds)},
                      {"algbw", rate(algbw)},
                      {"busbw", rate(algbw * bus_factor(problem_.collective, topology_.ranks()))},
                      {"messages", concat(outcome.simulation.messages, " in ", outcome.simulation.tiles, outcome.simulation.tiles == 1 ? " tile" : " tiles")},
                      {"topology", arguments_.topology},
                      {"source", "simulated"}};
    const std::string trouble = tool::write_file(arguments_.html, show::page_of(timeline));
    if (!trouble.empty()) return fail(Code::SystemError, "--html: ", trouble);
    std::printf("# page: %s\n", arguments_.html.c_str());
    return {};
  }

  static constexpr int kMostRanks = 4096;
  const Arguments& arguments_;
  const Topology &topology_, &roomy_;
  const Problem problem_;
  const uint32_t blocks_;
  const Algorithm* algorithm_ = nullptr;
  std::vector<Program> programs_;
  uint64_t messages_ = 0;  // of one tile
  std::vector<std::string> notes_;
  std::optional<tool::Progress> progress_;  // of run()
  double runs_done_ = 0;
};

Status run(const Arguments& arguments, bool& wrong) {
  const Result<Collective> collective = parse_collective(arguments.collective);
  if (!collective.ok()) return collective.status();
  const Result<Topology> topology = parse_topology(arguments.topology, arguments.cores);
  if (!topology.ok()) return topology.status();
  const int ranks = topology.value().ranks();
  if (arguments.root < 0 || arguments.root >= ranks)
    return fail(Code::InvalidArgument, "--root ", arguments.root, " is not one of ", ranks, " ranks");
  if (arguments.all && !arguments.algorithm.empty())
    return fail(Code::InvalidArgument, "--all and --algo contradict each other");
  if (arguments.window < 1 || arguments.window > 16)
    return fail(Code::InvalidArgument, "--in-flight ", arguments.window, " is not from 1 to 16");
  const Result<uint64_t> tile = size_of(arguments.tile, "--tile");
  if (!tile.ok()) return tile.status();
  if (tile.value() < 64) return fail(Code::InvalidArgument, "--tile ", arguments.tile, " is below 64 bytes");
  const Result<std::vector<uint64_t>> sizes = sizes_of(arguments);
  if (!sizes.ok()) return sizes.status();
  for (const auto& [option, path] : {std::pair("--trace", &arguments.trace), std::pair("--html", &arguments.html)}) {
    if (path->empty()) continue;
    if (sizes.value().size() > 1 || arguments.all)
      return fail(Code::InvalidArgument, option, " shows one run: give one size, and no --all");
    const std::string trouble = tool::cannot_write(*path);
    if (!trouble.empty()) return fail(Code::InvalidArgument, option, ": ", trouble);
  }
  const Result<Topology> roomy = parse_topology(arguments.topology, {static_cast<uint32_t>(ranks), arguments.cores.one_machine});
  if (!roomy.ok()) return roomy.status();
  return Tool(arguments, topology.value(), roomy.value(), collective.value()).run(sizes.value(), tile.value(), wrong);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app(
      "Simulates collectives on a topology: time, bandwidths, bytes per link, and the price by which the library chooses.");
  app.add_option("--topo,-t", arguments.topology,
                 "topology, like \"rack:2 host:4 core:8\" or \"host:3 core:2+3+1\", or a topology file")
      ->required();
  app.add_option("--collective,-c", arguments.collective,
                 "allreduce, reduce, broadcast, allgather, ... (default allreduce)");
  app.add_option("--size,-s", arguments.sizes, "bytes of the whole message, like 64K; or several (default 1M)")
      ->delimiter(',');
  app.add_option("-b,--minbytes", arguments.least, "smallest size, instead of --size");
  app.add_option("-e,--maxbytes", arguments.most, "largest size");
  app.add_option("-f,--stepfactor", arguments.factor, "factor from size to size (default 2)");
  app.add_option("--algo,-a", arguments.algorithm,
                 "algorithm; default: the one that the library would choose, TUTTI_ALGO included");
  app.add_flag("--all", arguments.all, "every algorithm that applies, the fastest first");
  app.add_option("--root", arguments.root, "root rank (default 0)");
  app.add_option("--tile", arguments.tile, "payload of one message, as TUTTI_TILE (default 128K)");
  app.add_option("--in-flight", arguments.window, "tiles at once, as TUTTI_TILES_IN_FLIGHT (default 3)");
  add_cores(app, arguments.cores, "cores of each host, shared by its ranks (default: one for each)");
  app.add_flag("--links", arguments.links, "bytes of every link");
  tool::take_file(app.add_option("--trace", arguments.trace, "write what happened as a Chrome trace to this file"));
  tool::take_file(app.add_option("--html", arguments.html, "write what happened as a page for a browser to this file"));
  return tool::run_tool("tutti-sim", app, argc, argv, [&] {
    bool wrong = true;
    const Status status = run(arguments, wrong);
    return end_of("tutti-sim", status, wrong);
  });
}

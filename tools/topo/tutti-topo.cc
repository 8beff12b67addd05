// tutti-topo: shows, checks and measures topologies.
//
//   tutti-topo show [cluster.txt | "rack:2 host:4 core:8"] [--svg picture.svg]    without an argument: this machine
//   tutti-topo lint cluster.txt                    all mistakes at once, each with its line
//   tutti-topo --json cluster.txt                  the file as JSON, for scripts
//   tutti-run -n 4 tutti-topo --probe cluster.txt  measures what is between the ranks' hosts, and writes the file
// Exit codes: 0; 1: the file has mistakes, or the picture could not be written; 2: wrong arguments, or an output file on the command line
// that cannot be written.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "lib/topo/assemble.h"
#include "lib/topo/file.h"
#include "tools/output.h"
#include "tools/tool.h"
#include "tools/topo/picture.h"
#include "tools/topo/probe.h"
#include "tools/topo/tree.h"
#include "tools/words.h"

namespace {

using namespace tutti;
using Json = nlohmann::ordered_json;

Json number_or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json facts_of(const Cluster& cluster) {
  Json sites = Json::array(), racks = Json::array(), hosts = Json::array();
  for (const Cluster::Site& site : cluster.sites)
    sites.push_back({{"name", site.name}, {"uplink_bps", number_or_null(site.uplink_bps)}, {"latency_s", number_or_null(site.latency_s)}});
  for (const Cluster::Rack& rack : cluster.racks)
    racks.push_back({{"name", rack.name},
                     {"site", rack.site < 0 ? Json(nullptr) : Json(cluster.sites[static_cast<size_t>(rack.site)].name)},
                     {"uplink_bps", number_or_null(rack.uplink_bps)},
                     {"latency_s", number_or_null(rack.latency_s)}});
  for (const Cluster::Host& host : cluster.hosts) {
    Json nics = Json::array();
    for (const Cluster::Nic& nic : host.nics) nics.push_back({{"name", nic.name}, {"bps", nic.bps}});
    hosts.push_back({{"name", host.name},
                     {"rack", host.rack < 0 ? Json(nullptr) : Json(cluster.racks[static_cast<size_t>(host.rack)].name)},
                     {"nics", nics},
                     {"latency_s", number_or_null(host.latency_s)},
                     {"ranks", host.ranks}});
  }
  return {{"sites", sites}, {"racks", racks}, {"hosts", hosts}};
}

unsigned long long as_printed(uint64_t number) { return number; }

// Mistakes and hints on stderr; whether the file can be used.
Result<Cluster> read_aloud(const std::string& path, bool hints) {
  Result<std::string> text = read_text(path);
  if (!text.ok()) return text.status();
  ClusterReading reading = parse_cluster(text.value());
  for (const Diagnostic& mistake : reading.mistakes) std::fprintf(stderr, "%s:%d: %s\n", path.c_str(), mistake.line, mistake.text.c_str());
  if (reading.more_mistakes > 0) std::fprintf(stderr, "%s: and %llu more mistakes\n", path.c_str(), as_printed(reading.more_mistakes));
  if (hints) {
    for (const Diagnostic& hint : reading.hints) std::fprintf(stderr, "%s:%d: hint: %s\n", path.c_str(), hint.line, hint.text.c_str());
    if (reading.more_hints > 0) std::fprintf(stderr, "%s: and %llu more hints\n", path.c_str(), as_printed(reading.more_hints));
  }
  const uint64_t wrong = reading.mistakes.size() + reading.more_mistakes;
  if (wrong > 0) return fail(Code::InvalidUsage, path, " has ", wrong, wrong == 1 ? " mistake" : " mistakes");
  return std::move(reading.cluster);
}

Status lint(const std::string& path) {
  const Result<Cluster> cluster = read_aloud(path, true);
  if (!cluster.ok()) return cluster.status();
  std::printf("%s: sites: %zu, racks: %zu, hosts: %zu, ranks: %llu\n", path.c_str(), cluster.value().sites.size(),
              cluster.value().racks.size(), cluster.value().hosts.size(), as_printed(cluster.value().ranks()));
  return {};
}

Status print_json(const std::string& path) {
  const Result<Cluster> cluster = read_aloud(path, false);
  if (!cluster.ok()) return cluster.status();
  std::printf("%s\n", facts_of(cluster.value()).dump().c_str());
  return {};
}

Result<show::Place> tree_of_argument(const std::string& argument) {
  if (argument.empty()) return show::tree_of_this_machine();
  if (is_path(argument)) {
    const Result<Cluster> cluster = read_aloud(argument, false);
    if (!cluster.ok()) return cluster.status();
    if (cluster.value().ranks() > Topology::kMaxRanks)
      return fail(Code::InvalidArgument, argument, ": more than ", Topology::kMaxRanks, " ranks (ranks= of the hosts)");
    return show::tree_of(cluster.value(), argument);
  }
  const Result<Topology> topology = topology_of_argument(argument);
  if (!topology.ok()) return topology.status();
  return show::tree_of(topology.value(), argument);
}

Status show_topology(const std::string& argument, const std::string& picture) {
  if (const std::string trouble = picture.empty() ? "" : tool::cannot_write(picture); !trouble.empty())
    return fail(Code::InvalidArgument, "--svg: ", trouble);
  Result<show::Place> tree = tree_of_argument(argument);
  if (!tree.ok()) return tree.status();
  show::fold(tree.value());
  std::fputs(show::text_of(tree.value()).c_str(), stdout);
  const std::string trouble = picture.empty() ? "" : tool::write_file(picture, show::svg_of(tree.value()));
  return trouble.empty() ? Status() : fail(Code::InvalidUsage, "--svg: ", trouble);
}

}  // namespace

int main(int argc, char** argv) {
  std::string json_file, lint_file, shown, picture, probe_file;
  double seconds = 30;
  CLI::App app("Topologies, looked at, checked and measured.");
  app.add_option("--json", json_file, "print a topology file as JSON, for scripts")->type_name("FILE");
  CLI::Option* probe_option = app.add_option("--probe", probe_file, "measure between the ranks of a job, and write a topology file (-: to stdout)");
  probe_option->type_name("FILE");
  app.add_option("--seconds", seconds, "for --probe: how long to measure bandwidths, about (default 30)")->check(CLI::Range(0.1, 3600.0));
  CLI::App* lint_command = app.add_subcommand("lint", "check a topology file: all mistakes at once");
  lint_command->add_option("file", lint_file, "topology file")->required();
  CLI::App* show_command = app.add_subcommand("show", "print a topology as a tree, and draw it");
  show_command->add_option("topology", shown, "topology file, or text like \"host:2 core:4\"; without: this machine");
  tool::take_file(show_command->add_option("--svg", picture, "draw it into this file"));
  app.require_subcommand(0, 1);
  return tool::run_tool("tutti-topo", app, argc, argv, [&] {
    if (probe_option->count() > 0) return show::probe(probe_file, seconds);
    Status status = fail(Code::InvalidArgument, "nothing to do: say show, lint FILE, --json FILE or --probe FILE; see --help");
    if (lint_command->parsed())
      status = lint(lint_file);
    else if (show_command->parsed())
      status = show_topology(shown, picture);
    else if (!json_file.empty())
      status = print_json(json_file);
    return end_of("tutti-topo", status, status.code() != Code::InvalidUsage);
  });
}

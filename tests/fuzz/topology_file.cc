// topology_file: reads a topology file, writes it back, and assembles a topology from it, alone and for ranks on its first and last host.
#include "lib/topo/assemble.h"
#include "tests/fuzz/target.h"

using namespace tutti;
using namespace tutti::fuzz;

namespace {

// With more ranks assemble() takes seconds under libFuzzer. Only the replay tries them.
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
constexpr uint64_t kManyRanks = 1 << 10;
#else
constexpr uint64_t kManyRanks = UINT64_MAX;
#endif

void check_diagnostics(const std::vector<Diagnostic>& diagnostics, uint64_t more) {
  demand(diagnostics.size() <= kMaxDiagnostics && (more == 0 || diagnostics.size() == kMaxDiagnostics), "at most kMaxDiagnostics diagnostics are kept");
  const auto by_line = [](const Diagnostic& a, const Diagnostic& b) { return a.line < b.line; };
  demand(std::is_sorted(diagnostics.begin(), diagnostics.end(), by_line), "diagnostics are in the order of lines");
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ClusterReading reading = parse_cluster(string_of(data, size));
  check_diagnostics(reading.mistakes, reading.more_mistakes);
  check_diagnostics(reading.hints, reading.more_hints);
  if (!reading.mistakes.empty()) return 0;
  const Cluster& cluster = reading.cluster;
  demand(parse_cluster(text_of(cluster)).cluster == cluster, "a cluster that is written and read is the same");
  demand(HostNames(cluster).find(cluster.hosts.back().name) == cluster.hosts.size() - 1, "a host is found by its name");

  if (cluster.ranks() <= kManyRanks) {
    const Result<Topology> alone = assemble(cluster);
    if (alone.ok()) demand(static_cast<uint64_t>(alone.value().ranks()) == cluster.ranks(), "all ranks are in the topology");
    demand(assemble(cluster, 4).ok() == alone.ok(), "the number of cores does not decide whether it can be assembled");
  }
  std::vector<Whereabouts> ranks(3);
  ranks[1].network = 1;
  ranks[0].host = ranks[2].host = cluster.hosts.front().name;
  ranks[1].host = cluster.hosts.back().name;
  demand(assemble(ranks, &cluster, {{1e-6, 1e9}, true}).ok(), "ranks on hosts of the file have a topology");
  return 0;
}

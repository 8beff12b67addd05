// whereabouts: the places where ranks run, a line for each rank, and the topology assembled from them.
#include "lib/topo/whereabouts.h"

#include "lib/topo/assemble.h"
#include "tests/fuzz/target.h"

using namespace tutti;
using namespace tutti::fuzz;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMostRanks = 1024;
  Input input(data, size);
  std::vector<Whereabouts> ranks;
  while (!input.empty() && ranks.size() < kMostRanks) {
    const std::string text(input.up_to('\n'));
    Result<Whereabouts> one = parse_whereabouts(text);
    if (!one.ok()) continue;
    demand(text_of(one.value()) == text, "a text that is read is what text_of() writes");
    ranks.push_back(std::move(one.value()));
  }
  if (ranks.empty()) return 0;
  const Result<Topology> topology = assemble(ranks, nullptr, {{1e-6, 1e9}, true});
  demand(topology.ok() && static_cast<size_t>(topology.value().ranks()) == ranks.size(), "a topology can be assembled for any ranks");
  (void)hash_of(topology.value());
  return 0;
}

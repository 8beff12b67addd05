// topology_text: a topology in one line, as in TUTTI_TOPO.
#include "lib/topo/assemble.h"
#include "tests/fuzz/target.h"

using namespace tutti;
using namespace tutti::fuzz;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Result<Topology> made = Topology::synthetic(string_of(data, size));
  if (!made.ok()) return 0;
  const Topology& topology = made.value();
  const int last = topology.ranks() - 1;
  demand(last >= 0 && last < Topology::kMaxRanks, "there are 1 to 65536 ranks");
  demand(topology.splits().empty() == (last == 0), "some level splits two ranks or more");
  demand((topology.divergence(0, last) == topology.levels().size()) == (last == 0), "the first and the last rank are in different places");
  for (size_t level = 0; level < topology.levels().size(); ++level) {
    size_t ranks = 0;
    for (const std::vector<int>& group : topology.groups(level)) ranks += group.size();
    demand(ranks == static_cast<size_t>(topology.ranks()), "every rank is in one group of a level");
  }
  (void)hash_of(topology);
  return 0;
}

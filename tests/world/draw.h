// draw: what a seed decides before a world begins: the ranks, their hosts, the calls.
#pragma once
#include <string>
#include <vector>

#include "lib/topo/topology.h"
#include "tests/world/part.h"

namespace tutti::test::world {

struct Places {
  std::vector<int> hosts;  // by rank
  Topology topology;
  int ranks() const { return static_cast<int>(hosts.size()); }
};
Places draw_places(Dice& dice);
// A collective with an algorithm that can serve it.
Call draw_call(Dice& dice, const Places& places);
std::string text_of(const Call& call);

}  // namespace tutti::test::world

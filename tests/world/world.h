// world: real Executions of n ranks in one thread, over a network in memory. A seed decides on the ranks, their hosts, the calls, the
// algorithms, the tiles, which rank moves when, and what the network does. The same seed gives the same world, step by step.
//
// A world succeeds if all results are right, nothing else has changed, and no message is left. If the seed cuts a line, the ranks that fail
// have to name it, and the others may wait for none but such ranks. A result is checked as soon as its rank says that the call is done. At
// that moment the world overwrites the rank's buffers: nothing may read or write them any more.
#pragma once
#include <string>

#include "tests/world/network.h"

namespace tutti::test::world {

struct Options {
  Planted planted = Planted::None;
  bool drop_dependency = false;  // plants a fault in a program: one of its works does not wait for another
};

struct Outcome {
  std::string wrong;  // "" or what is wrong
  std::string what;   // the world in a few words
  uint64_t steps = 0;
  int calls = 0;
  bool cut = false;  // the seed has cut a line, and a rank has failed for it
};
Outcome run_world(uint64_t seed, const Options& options = {});

}  // namespace tutti::test::world

// comms: worlds of whole communicators: all that a rank's calls go through between the API and the wire, in one thread, from a seed.
//
// Each rank has the parts of a communicator: its life, its links (over the network of network.h), its calls under way. They make the same
// batches: collectives, sends and receives, repeated or not, by algorithms that the seed forces. In some worlds a line is cut, a rank aborts,
// or one rank makes another call than the others. Then every rank has to end with an error that names what happened; nobody may hang, and
// nobody may succeed with wrong data.
#pragma once
#include "tests/world/world.h"

namespace tutti::test::world {

// What the seed does to the communicator.
enum class Trouble { None, Cut, Abort, Mismatch };

Outcome run_comms(uint64_t seed, Trouble trouble);

}  // namespace tutti::test::world

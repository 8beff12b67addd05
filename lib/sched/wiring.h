// wiring: the programs of all ranks, joined: a Send knows which Combine of which rank it serves and over which way, a Combine
// what it pulls. What does not change from tile to tile of a simulation.
#pragma once
#include <span>
#include <vector>

#include "lib/base/status.h"
#include "lib/sched/network.h"
#include "lib/sched/program.h"

namespace tutti {

// A message of the programs, as the sender's target says.
struct Message {
  uint32_t rank, work;      // the Combine that takes it
  uint32_t connection = 0;  // from the sender to there
  Way way;
};

// What a Combine pulls over one way.
struct Pull {
  uint32_t path, messages;
};

// A work, with all that its program does not say.
struct Detail {
  uint32_t first_pull = 0, pulls = 0;
  uint32_t messages = 0;   // Combine: how many it waits for
  uint32_t touched = 0;    // times that its bytes pass through the rank's core, but for pulling
  Picoseconds effort = 0;  // Combine: for its messages
};

struct RankPlan {
  const Program* program;
  std::vector<Detail> works;
  std::vector<Pull> pulls;
  std::vector<Message> targets;
};

// Errors: InternalError when a message is sent that nobody expects, or expected and not sent.
Result<std::vector<RankPlan>> wire(std::span<const Program> programs, Network& network);

}  // namespace tutti

// sources: makes timelines of simulations and of programs.
#pragma once
#include <span>

#include "lib/sched/program.h"
#include "lib/sched/simulate.h"
#include "tools/page/page.h"
#include "tools/page/timeline.h"

namespace tutti::show {

inline constexpr size_t kLoadSlots = 256;

// The programs of the simulation, which was made with load_slots = kLoadSlots, and with most_events of kMostOnPage or more.
Timeline timeline_of(const Topology& topology, std::span<const Program> programs, const Simulation& simulation);

// Every message takes one step, all else none. In a step, what is sent stands in the first half, what is received in the second.
Timeline timeline_of(const Topology& topology, std::span<const Program> programs);
// The spans and messages of that.
size_t size_of(std::span<const Program> programs);

}  // namespace tutti::show

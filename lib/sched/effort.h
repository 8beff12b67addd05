// effort: what a rank's own work costs, in one place for the closed-form prices (algorithms/cost.h) and for the simulator.
//
// Links say what the way between two ranks costs; these constants say what the two ranks do for it. They are measured on a host
// (perf/compare.py and perf/floor, docs/figures.md) and are orders of magnitude for a network.
#pragma once
#include <algorithm>

#include "lib/topo/topology.h"

namespace tutti::effort {

inline constexpr double kMessageSeconds = 20e-9;      // a rank is busy with one message: a cell written, or read
inline constexpr double kMessageShare = 0.05;         // ... or this share of its link's latency, where that is more;
inline constexpr double kSocketSeconds = 4.4e-6;      // or with a message to another host by the kernel: no other link is as slow as that
inline constexpr double kTurnSeconds = 11.5e-6;       // a core, with such a message between two of its ranks, and the switch
inline constexpr double kSegmentBytes = 1400;         // a longer one, of several TCP segments,
inline constexpr double kSegmentsSeconds = 5e-6;      // takes so much more, being acknowledged at once
inline constexpr double kWorkBytesPerSecond = 100e9;  // writing a message, adding or storing one that was read

inline bool by_kernel(const Link& link, bool memory) {
  return !memory && link.latency_s > kSocketSeconds;
}

// What sender and receiver each are busy with for one message over a link.
inline double message(const Link& link, bool memory) {
  if (by_kernel(link, memory)) return kSocketSeconds;
  return std::max(kMessageSeconds, kMessageShare * link.latency_s);
}

}  // namespace tutti::effort

// whereabouts: what a rank says of where it runs. Every rank publishes its own; the topology is made from all of them.
//
// Read from the kernel directly: a discovery by hwloc takes longer than joining a communicator.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"

namespace tutti {

// A set of CPUs as a bit mask, without zeros at the end.
using CpuMask = std::vector<uint64_t>;

// The places inside a host, outermost first: socket, NUMA node, last cache, core.
inline constexpr size_t kInsides = 4;

struct Whereabouts {
  std::string boot_id;   // the machine, since it was started
  uint64_t network = 0;  // its network namespace: the part of the machine that is a host to others
  std::string host;      // host name
  CpuMask cpus;          // that the rank may run on; empty: unknown
  // The lowest CPU of the place that the rank is bound to, -1 if it may run in several, or none is known.
  std::array<int, kInsides> inside{-1, -1, -1, -1};
  double nics_bps = 0;  // what the host's NICs carry together; 0: unknown. Told later, and only where there are several hosts

  bool same_host(const Whereabouts& other) const { return network == other.network && boot_id == other.boot_id; }
};

// Where the calling thread is. What cannot be found out keeps its default. Errors: SystemError, if boot_id cannot be read because there
// are no descriptors or no memory.
Result<Whereabouts> whereabouts_here();

std::string text_of(const Whereabouts& whereabouts);
// Refuses what text_of() did not write.
Result<Whereabouts> parse_whereabouts(std::string_view text);

}  // namespace tutti

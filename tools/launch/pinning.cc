// pinning: see pinning.h.
#include "tools/launch/pinning.h"

#include <hwloc.h>
#include <sched.h>
#include <unistd.h>

namespace tutti::tool {

std::vector<int> usable_cores() {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return {};
  hwloc_topology_t topology;
  if (hwloc_topology_init(&topology) != 0) return {};
  std::vector<int> first, further;
  if (hwloc_topology_load(topology) == 0) {
    for (hwloc_obj_t core = nullptr; (core = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, core)) != nullptr;) {
      bool is_first = true;
      unsigned processor;
      hwloc_bitmap_foreach_begin(processor, core->cpuset) {
        if (processor < CPU_SETSIZE && CPU_ISSET(processor, &allowed)) {
          (is_first ? first : further).push_back(static_cast<int>(processor));
          is_first = false;
        }
      }
      hwloc_bitmap_foreach_end();
    }
  }
  hwloc_topology_destroy(topology);
  first.insert(first.end(), further.begin(), further.end());
  return first;
}

bool placed_by_launcher() {
  cpu_set_t allowed;
  return sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) < sysconf(_SC_NPROCESSORS_ONLN);
}

bool pin_to(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

int current_processor() {
  return sched_getcpu();
}

}  // namespace tutti::tool

// machine: see machine.h.
//
// It reads the kernel's files. sysconf() would add up the caches of sockets that a virtual machine may not have; hwloc's discovery takes
// longer than it takes to join a communicator.
#include "lib/topo/machine.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace tutti {

size_t processors_in(std::istream& list) {
  size_t count = 0, first = 0, last = 0;
  char separator = 0;
  while (list >> first) {
    last = first;
    if (list >> separator && separator == '-') list >> last >> separator;
    count += last - first + 1;
  }
  return count;
}

size_t last_cache_bytes() {
  constexpr size_t kUnknown = size_t{32} << 20;
  // Few processors have more for each of their cores (TUTTI_CACHE is for these). A virtual machine that is told of more shares it
  // with others.
  constexpr size_t kMostPerProcessor = size_t{16} << 20;
  for (int index = 4; index >= 1; --index) {
    const std::string cache = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index);
    std::ifstream size(cache + "/size"), sharers(cache + "/shared_cpu_list");
    size_t kibibytes = 0;
    char unit = 0;
    if (size >> kibibytes >> unit && unit == 'K' && kibibytes > 0)
      return std::min(kibibytes * 1024, kMostPerProcessor * std::max<size_t>(processors_in(sharers), 1));
  }
  return kUnknown;
}

}  // namespace tutti

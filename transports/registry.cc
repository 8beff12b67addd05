// registry: the transports of this build. A new transport adds its row here, and its folder.
#include "lib/transport/transport.h"
#include "transports/shm/shm.h"

namespace tutti {

std::span<const TransportKind> all_transports() {
  static const TransportKind kinds[] = {
      {"shm", "shared memory between the ranks of one host", shm::create},
  };
  return kinds;
}

}  // namespace tutti

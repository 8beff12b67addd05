// registry: the transports of this build, cheapest first. A new transport adds its row here, and its folder.
#include "lib/transport/module.h"
#include "transports/shm/shm.h"

namespace tutti {
namespace {

Result<std::unique_ptr<Transport>> create_ucx(const TransportOptions& options) { return create_from_module("ucx", options); }

}  // namespace

std::span<const TransportKind> all_transports() {
  static const TransportKind kinds[] = {
      {"shm", "shared memory between the ranks of one host", shm::create, true},
      {"ucx", "between hosts, over TCP or whatever network UCX finds", create_ucx},
  };
  return kinds;
}

}  // namespace tutti

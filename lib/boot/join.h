// join: one rank's way into a communicator: to the rendezvous, from there to rank 0's hub, until the hub welcomes all.
//
// Runs in the caller's thread; every wait ends with the deadline (TUTTI_INIT_TIMEOUT) or soon after `cancel`.
#pragma once
#include <atomic>
#include <memory>

#include "lib/base/settings.h"
#include "lib/boot/connection.h"
#include "lib/boot/server.h"

namespace tutti {

struct Joined {
  Connection connection;        // to the hub
  Identity rank0;               // in whose process the hub lives
  uint32_t number;              // of the communicator there
  std::unique_ptr<Server> hub;  // on rank 0 only
};

Result<Joined> join_ranks(const Settings& settings, const UniqueId& id, int rank, int ranks,
                          const std::atomic<bool>& cancel);

}  // namespace tutti

// join: one rank's way into a communicator: to the rendezvous, and from there to its parent in the tree.
//
// Runs in the caller's thread; every wait ends with the deadline (TUTTI_INIT_TIMEOUT) or soon after `cancel`.
#pragma once
#include <atomic>
#include <functional>
#include <optional>

#include "lib/base/settings.h"
#include "lib/boot/connection.h"
#include "lib/boot/roster.h"

namespace tutti {

// A rank's place in the tree.
struct Joined {
  std::optional<Connection> connection;  // to the parent; none: this rank is the root
  int parent;
  size_t children;  // that will come
  Roster roster;    // the root's: all ranks. Else: the parent and the root
  int64_t left_ns;  // for the other ranks to come
};

// Starts to serve this rank's children.
using Open = std::function<Status(Descriptor listener, const Key& secret, const Nonce& salt)>;

// REQUIRES: 0 <= rank < ranks, 2 <= ranks <= kMaxRanks.
Result<Joined> join_ranks(const Settings& settings, const UniqueId& id, int rank, int ranks, const std::atomic<bool>& cancel,
                          const Open& open);

}  // namespace tutti

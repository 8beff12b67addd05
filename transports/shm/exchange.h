// exchange: how the ranks of one host find one another, and get each other's arenas and heaps, over unix sockets (door.h).
//
// Every rank publishes a Contact, and listens. Who has the same `host` may be on this host: that a rank is, shows when somebody answers
// at its name. The lowest rank of a host collects the descriptors of all others there and hands every rank the descriptors of the
// arenas and heaps in other processes:
//   member -> collector   its rank, a nonce
//   collector -> member   a nonce, a proof that it knows the collector's secret
//   member -> collector   the same proof, its two descriptors
//   collector -> member   the descriptors of all ranks in other processes, in batches
// Secrets are known to the members of the communicator only. A stranger who connects gets no further than to a place among those who
// have proved nothing; there are few such places, and a user who takes many of them loses his own first.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/base/crypto.h"
#include "lib/base/memory.h"
#include "lib/base/process.h"
#include "transports/shm/arena.h"
#include "transports/shm/door.h"

namespace tutti::shm {

// What a rank tells all others; plain bytes, and not for strangers.
struct Contact {
  uint64_t host;         // hash of what the kernel says of this machine: others may say the same
  ProcessToken process;
  Token token;           // of the arena, and what this rank's socket is named by
  Key secret;            // who knows it is of the communicator
  uint64_t arena_bytes;
  uint64_t heap_bytes;   // 0: there is none
};

// What this process knows of another rank of the host.
struct Neighbour {
  std::unique_ptr<Arena> arena;    // null: on another host, or this rank itself
  std::unique_ptr<HeapView> heap;  // null: in this process, or there is none, or it cannot be mapped
};

// neighbours[p] is filled for every other rank p on this host. Blocks as long as `patience` lasts.
// After a failure the caller closes the listener, so that ranks in its backlog hear of it.
Status exchange_arenas(int rank, std::span<const Contact> contacts, const ArenaLayout& layout, const Descriptor& listener, Arena& mine,
                       std::vector<Neighbour>& neighbours, const Patience& patience);

}  // namespace tutti::shm

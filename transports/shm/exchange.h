// exchange: the ranks of one host find one another, and get the descriptors of each other's arenas and heaps, over unix sockets (unix_socket.h).
//
// Every rank publishes a Contact, and listens. A rank with the same `host` may be on this host; it is, if somebody answers at its name.
// The lowest rank of a host is the collector. It collects the descriptors of all other ranks there, and sends every rank those of the
// arenas and heaps in other processes:
//   member -> collector   its rank, a nonce
//   collector -> member   a nonce, a proof that it knows the collector's secret
//   member -> collector   a proof that it knows that secret, too; its two descriptors
//   collector -> member   the descriptors of all ranks in other processes, in batches
// Only members of the communicator know the secrets. A stranger who connects stays a guest. The number of guests is limited, and the user
// with the most guests loses the oldest of them first.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/base/crypto.h"
#include "lib/base/memory.h"
#include "lib/base/process.h"
#include "transports/shm/arena.h"
#include "transports/shm/unix_socket.h"

namespace tutti::shm {

// What a rank tells all others. Plain bytes; strangers must not see it.
struct Contact {
  uint64_t host;         // hash of the machine's identity; two machines may have the same
  ProcessToken process;
  Token token;           // of the arena; the name of this rank's socket is made from it
  Key secret;            // known to members of the communicator only
  uint64_t arena_bytes;
  uint64_t heap_bytes;   // 0: no heap
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

// exchange: how the ranks of one host get each other's arenas and heaps, over an abstract unix socket.
//
// Every rank publishes a Contact. The lowest rank of a host collects the descriptors of all others and hands every rank the
// descriptors of the arenas and heaps in other processes. A connection must come from the same user (or root) and show the token of the
// collector's arena, which only members of the communicator have been told.
#pragma once
#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "lib/base/memory.h"
#include "transports/shm/arena.h"

namespace tutti::shm {

// What a rank tells all others; plain bytes.
struct Contact {
  uint64_t host[2];       // hash of the boot id; the network namespace
  uint64_t process[2];    // random per process (fork included)
  Token token;            // of the arena
  uint64_t arena_bytes;
  uint64_t heap_bytes;    // 0: there is none
};

class Listener {
 public:
  // Listens under a name derived from the token.
  static Result<std::unique_ptr<Listener>> open(const Token& token);
  ~Listener();
  int descriptor() const { return descriptor_; }

 private:
  explicit Listener(int descriptor) : descriptor_(descriptor) {}
  const int descriptor_;
};

Contact contact_of_this_process();

// How long to wait: until the deadline, or soon after `cancel` is set by another thread.
struct Patience {
  Deadline deadline;
  const std::atomic<bool>& cancel;
};

// What this process knows of another rank of the host.
struct Neighbour {
  std::unique_ptr<Arena> arena;    // null: on another host, or this rank itself
  std::unique_ptr<HeapView> heap;  // null: in this process, or there is none, or it cannot be mapped
};

// neighbours[p] is filled for every other rank p on this host. Blocks as long as `patience` lasts.
// After a failure the caller closes the listener, so that ranks in its backlog hear of it.
Status exchange_arenas(int rank, std::span<const Contact> contacts, const ArenaLayout& layout, const Listener& listener,
                       Arena& mine, std::vector<Neighbour>& neighbours, const Patience& patience);
bool same_process(const Contact& a, const Contact& b);

}  // namespace tutti::shm

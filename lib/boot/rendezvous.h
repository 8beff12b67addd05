// rendezvous: the service that introduces the ranks of one communicator to one another, then ends.
//
// It collects a Hello from every rank; with the last one it plans the tree (tree.h), gives rank 0 the seats of all, and tells each rank
// its parent. If that fails, everyone who came hears why, and for a while everyone who still comes: a rank was given twice, ranks gave
// different numbers of ranks, or one died, gave up or did not come in time.
// It tells all ranks in which process it is, so that they can name that process's rank if it dies.
#pragma once
#include <memory>
#include <optional>

#include "lib/base/process.h"
#include "lib/boot/server.h"
#include "lib/boot/unique_id.h"

namespace tutti {

// What a rank says to the rendezvous.
struct Hello {
  Identity who;
  int ranks = 0;
  int64_t left_ms = 0;  // until its own deadline
  Address address{};    // where it listens for its children
  Nonce salt{};
  Key host{};  // the same for all ranks of a host
  ProcessToken process{};
  std::optional<Cause> failure{};  // why this rank cannot join after all
};
std::string pack(const Hello& hello);
bool unpack(const std::string& bytes, Hello* hello);

// Serves at `listener` in a server that has yet to be started. `linger_s`: how long a failed one waits for those who have
// not heard of it. `unused_s`: how long it waits for the first rank. `rank`: the rank whose process this
// is, -1 if that is not known yet.
Result<std::unique_ptr<Server>> make_rendezvous(Descriptor listener, const Key& secret, double linger_s, double unused_s, int rank);

}  // namespace tutti

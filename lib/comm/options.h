// options: who a communicator is, as its parts need it: this rank, how many there are, and how it is called in sentences.
#pragma once
#include <string>

#include "lib/boot/boot.h"

namespace tutti {

struct CommOptions {
  UniqueId id{};
  int rank = 0, ranks = 1;
  bool alone_by_id = false;  // the only rank, but of an id, whose rendezvous waits for it
  bool by_init_all = false;  // made by CommInitAll: one thread may drive all ranks
  bool split = false;        // made by CommSplit
  bool blocking = true;      // split and finalize return when they have ended
  double timeout_s = 0;      // 0: TUTTI_TIMEOUT
  std::string name;
  // Known once they have met, and the same on all ranks: this communicator, and the one that it came from by splits, maybe itself; and this
  // rank's number there.
  uint64_t key = 0, root_key = 0;
  int root_rank = 0;
  uint32_t number = 0;       // the same on all ranks; known once they have met

  // "communicator 'NAME'", or "communicator 3"
  std::string title() const { return name.empty() ? concat("communicator ", number) : concat("communicator '", name, "'"); }
};

}  // namespace tutti

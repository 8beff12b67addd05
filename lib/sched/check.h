// check: proves that the programs of all ranks, run together, compute a collective; or says which rank and work do not.
//
// What is proved is what is executed: the fused programs, chunk by chunk, with the multiset of contributions as a chunk's
// value. They run over one transport that is weaker than both that the contract names. Messages of a lane come in order and
// one at a time, the next is posted when the last was consumed (as in a one-slot FIFO); a Combine consumes its messages when
// all are there; a Send is done when all its messages were consumed (as with synchronous sends). Programs that finish here
// finish over synchronous sends in any order and over the FIFO alone, because either only lets things happen earlier. Any
// order of events gives the same result: what can happen stays possible, and works that share memory are proved to be
// ordered. Two works that may be done in one pass (Work::into_send, into_copy) are proved done one by one and in one pass: scratch that the
// pass leaves out counts as undefined after it.
#pragma once
#include <span>
#include <vector>

#include "lib/base/status.h"
#include "lib/sched/program.h"

namespace tutti {

struct Claim {
  Collective collective;
  int root = 0;
  bool in_place = false;
  bool uniform = true;
  std::vector<bool> in_place_of = {};  // per rank, where ranks differ; empty: all as in_place says
};

// programs[r] is rank r's. Checked: shapes and bounds, who may read and write what, sizes on both ends of a message, message
// numbers and lane totals, races, undefined reads, double or missing contributions, deadlock, the final values.
// REQUIRES: at most 65536 ranks.
Status check(const Claim& claim, std::span<const Program> programs);

}  // namespace tutti

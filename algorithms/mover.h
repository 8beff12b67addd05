// mover: says how chunks travel, hop by hop, and writes this rank's steps for it.
//
// An algorithm names hops: in phase p, a chunk goes from rank a to rank b. Rank b keeps it, or reduces it with what it has: its own
// Input, and what came in earlier phases. What arrives in a phase leaves in a later one. Hops of other ranks are ignored, so an
// algorithm may name all of them.
// Mover joins neighbouring chunks of one hop into runs. Both ends see the same hops, so both make the same runs. A run rests in
// Output if this rank's Output has its chunks, else in Scratch. At the end Output is complete.
#pragma once
#include <vector>

#include "lib/sched/builder.h"

namespace tutti {

class Mover {
 public:
  // Cuts the message into `chunks`; no run gets longer than `longest`.
  Mover(Builder& builder, uint32_t chunks, uint32_t longest = 1);

  void reduce(uint32_t phase, uint32_t chunk, int from, int to) { hop(phase, chunk, from, to, true); }
  void carry(uint32_t phase, uint32_t chunk, int from, int to) { hop(phase, chunk, from, to, false); }

  // Writes the steps. Call last.
  void finish();

 private:
  struct Run {
    uint32_t phase;
    bool arrives, reduces;
    int peer;
    uint32_t chunk, chunks;
  };
  enum class Rest : uint8_t { Nowhere, Input, Output, Scratch };

  static Ref ref(Rest rest, uint32_t chunk);
  void hop(uint32_t phase, uint32_t chunk, int from, int to, bool reduces);
  void join_runs();
  bool has_output(uint32_t chunk) const;
  Rest rest_for(const Run& run) const;
  void bring(uint32_t chunk, uint32_t chunks, Rest rest);
  void send(const Run& run);
  void receive(const Run& run);

  Builder& builder_;
  uint32_t chunks_, longest_;
  std::vector<Run> runs_;    // hops of this rank; after join_runs() in program order
  std::vector<Rest> where_;  // per chunk: where this rank's value is
};

}  // namespace tutti

// simulate: what the programs of all ranks, run together, would take on a topology. Discrete events; the same again is the same.
//
// Programs run as the executor runs them (lib/exec): the message is cut into tiles, a few tiles at once (instances), a work
// starts when its dependencies are done, a Combine when its messages are there, too. A rank does its works one after the other:
// first what the work before made possible, then in the order in which they could start. A Send keeps it busy for each message,
// and, inside a host, to write the payload. A network carries the payload by itself: between the same two ranks one message
// after the other, connections share links fairly (flows.h, network.h), and the Send is done when its payload has left. A
// Combine keeps its rank busy for each message, to pull what lies in other ranks' memory, and to add or copy: a single message
// that a network brought is where it belongs.
// Ranks that share a core take turns; each goes on as long as it has something to do.
// What is not modelled: caches, other traffic, a limit on how far a rank that only sends may run ahead.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "lib/base/status.h"
#include "lib/sched/loads.h"
#include "lib/sched/network.h"
#include "lib/sched/program.h"

namespace tutti {

struct SimulationOptions {
  size_t tile_bytes = 128 << 10;  // limit of one message
  uint32_t window = 3;            // tiles at once
  size_t most_events = 0;         // to be kept for a picture
  uint32_t cores = 0;             // of each host: its ranks share them by turns; 0: one for each rank
  bool one_machine = false;       // the same cores for all hosts
  size_t load_slots = 0;          // of Simulation::loads; even
  std::function<void(double share)> progress = {};  // called now and then with the share that is done, from 0 to 1
};

// What a rank did; or a payload on its way through a network, or in memory, where it lies from the Send on.
struct SimulationEvent {
  enum class Kind : uint8_t { Send, Combine, Transfer, InMemory } kind;
  int32_t rank, peer;  // peer: of a payload, where to; else -1
  uint32_t work, tile;
  uint32_t peer_work;  // of a payload: the Combine that takes it
  uint64_t bytes;
  double begin_s, end_s;
  double arrival_s;  // of a payload: when the peer learns of it; else end_s
};

struct Simulation {
  struct Rank {
    double busy_s = 0;  // sending, pulling, adding; the rest until finish_s it waited
    double finish_s = 0;
  };
  double seconds = 0;  // until the last rank was done
  uint64_t tiles = 0, messages = 0;
  std::vector<Rank> ranks;
  std::vector<LinkUse> links;
  std::vector<SimulationEvent> events;  // at most SimulationOptions::most_events, the first to end
  bool events_cut = false;              // there were more
  // With SimulationOptions::load_slots: row 2 i has the bytes out of links[i], row 2 i + 1 the bytes into it; behind all links, a row has
  // the busy seconds of each rank.
  Loads loads;
};

// programs: of all ranks, of one problem. blocks, bytes: of the whole message, which is cut as evenly as bytes allow.
// Errors: InvalidArgument when a message of one byte per chunk exceeds tile_bytes, or when it takes longer than kLongest
// (flows.h); InternalError when the programs do not fit each other.
Result<Simulation> simulate(const Topology& topology, std::span<const Program> programs, uint32_t blocks, uint64_t bytes,
                            const SimulationOptions& options = {});

}  // namespace tutti

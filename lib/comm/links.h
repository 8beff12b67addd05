// links: how a rank reaches the others of its communicator, and how its ranks come to that.
//
// All ranks meet (boot) and tell each other their version and settings. Then they try the transports, the cheapest first, until every
// rank reaches every other. For each transport: all open it, exchange addresses, connect, and tell each other how that went. So all go on
// to the next, all succeed, or all fail with the same sentence. A transport that is not needed is not opened.
#pragma once
#include <memory>
#include <vector>

#include "lib/base/settings.h"
#include "lib/comm/clocks.h"
#include "lib/comm/life.h"
#include "lib/comm/options.h"
#include "lib/exec/plan.h"
#include "lib/topo/topology.h"

namespace tutti {

struct Links {
  std::unique_ptr<Control> control;  // null: there is no other rank
  std::vector<std::unique_ptr<Transport>> transports;  // at least one: a rank may send to itself
  std::vector<Route> routes;                           // by rank
  Topology topology = Topology::flat(1);
  ClockOffset clock;                                   // from this rank's machine to rank 0's; measured if some rank traces
  bool crowded = false;  // waiting and working ranks share this machine's cores
};

// Whether the settings name only transports that exist.
Status check_transports(const Settings& settings);

// Joins the other ranks; blocks, until the deadline (TUTTI_INIT_TIMEOUT) or until `life` has failed. Goes through life's phases up to
// Connecting. Sets options.number. After an error, `links` holds what there was by then.
Status join(CommOptions& options, const Settings& settings, Life& life, Control::Callbacks callbacks, Links& links);

}  // namespace tutti

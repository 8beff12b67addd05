// nics: the interfaces of this host that lead to others, and how fast they are.
//
// For start-up between hosts only: asking a driver can take long.
#pragma once
#include <vector>

#include "lib/topo/file.h"

namespace tutti {

// Bits per second of an interface; 0 where its driver does not say.
double nic_bps(const std::string& name);

// Those that are up and have an address, loopback left out: the ones that the filter admits (lib/base/interface.h), or, if that is
// empty, all but bridges, tunnels and dummies. 0 bps: the driver does not say.
std::vector<Cluster::Nic> nics_here(const std::string& filter = "");

// What messages will travel by, together: slow NICs beside fast ones are for other things.
double usual_bps(std::vector<Cluster::Nic> nics);
double sum_bps(const std::vector<Cluster::Nic>& nics);

}  // namespace tutti

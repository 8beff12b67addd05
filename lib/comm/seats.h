// seats: where the ranks of a communicator sit, as they find out while they join.
//
// Each rank reads what a person says (TUTTI_TOPO, TUTTI_TOPO_FILE) and where it runs itself, hears the same of all others, and all
// make the same topology of it. How ranks of one host reach one another is told at the end, when transports are connected.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "lib/base/settings.h"
#include "lib/topo/assemble.h"

namespace tutti {

class Seats {
 public:
  // In this order.
  // split: CommSplit made the communicator, so TUTTI_TOPO may describe another number of ranks.
  Status read(const Settings& settings, int rank, int ranks, bool split = false);
  // What has to be the same on all ranks, and what this rank tells the others of itself.
  std::string given() const;
  std::string whereabouts() const;
  // Everyone's whereabouts(), by rank. Errors are the same on all ranks.
  Status hear(const std::vector<std::string>& all);
  // Whether all have to tell of their NICs as well, because there are several hosts and nobody has written down their links.
  bool nics_matter() const { return nics_matter_; }
  std::string nics() const;
  // What the file says of this host's.
  std::span<const Cluster::Nic> nics_written() const;
  void hear_nics(const std::vector<std::string>& all);
  // Makes the topology. Errors are the same on all ranks.
  Status place();

  // Whether some ranks share a host.
  bool any_together() const { return together_; }
  bool same_host(int peer) const { return here_.empty() || here_[peer].same_host(here_[rank_]); }
  // Whether all ranks are on one machine, which has one clock.
  bool one_clock() const;
  bool clock_of_rank0() const { return here_.empty() || here_[0].boot_id == mine_.boot_id; }
  // Whether waiting and working ranks share this machine's cores, so that polling takes time from the one waited for.
  bool crowded() const { return crowded_; }

  // What this rank tells at the end; none: it has no other rank on its host.
  std::string findings(const std::optional<HostLink>& host_link) const;
  // Everyone's findings(), by rank. Errors are the same on all ranks.
  Result<Topology> settle(const std::vector<std::string>& all);

 private:
  Result<Topology> assembled(const HostLink& host_link) const;

  int rank_ = 0, ranks_ = 1;
  std::string net_ifname_;  // TUTTI_NET_IFNAME
  std::string topo_;        // TUTTI_TOPO
  std::string file_;        // TUTTI_TOPO_FILE
  uint64_t file_hash_ = 0;
  std::optional<Cluster> cluster_;
  Whereabouts mine_;
  std::vector<Whereabouts> here_;  // by rank; empty for a single rank
  bool lowest_ = true;             // of its host's ranks
  bool nics_matter_ = false, crowded_ = false, together_ = false;
  std::optional<Topology> topology_;  // told by TUTTI_TOPO, or made with ranks of one host reaching one another as by default
  bool told_ = false;
};

}  // namespace tutti

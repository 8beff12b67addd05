// assemble: see assemble.h. Every rank gets a path of place numbers over all levels (site, rack, host, and those inside a
// host); Topology::from_paths makes the tree.
#include "lib/topo/assemble.h"

#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <set>


namespace tutti {
namespace {

// Between hosts that are namespaces of one machine, unless a file knows better: no NIC and no switch, only the kernel.
constexpr double kKernelSeconds = 4.5e-6;

constexpr size_t kSite = 0, kRack = 1, kHost = 2, kFirstInside = 3, kLevels = kFirstInside + kInsides;
constexpr const char* kNames[kLevels] = {"site", "rack", "host", "socket", "numa", "cache", "core"};

// A host that ranks are on.
struct UsedHost {
  uint64_t rack = 0, site = 0;  // equal numbers: the same
  int cluster_rack = -1;        // index in the file, or none
  Link link;
};

struct Rank {
  size_t used_host;
  std::array<uint64_t, kInsides> inside{};
};

Link link_of(const char* level) {
  return Topology::known_level(level).link;
}

// The rails that a file describes are the NICs that all its hosts have; without any, ranks are taken to be joined by routers, over the first of each.
class WrittenRails {
 public:
  WrittenRails(const Cluster& cluster, const std::vector<size_t>& hosts) : cluster_(cluster) {
    bool first = true;
    for (const size_t index : hosts) {
      const std::vector<Cluster::Nic>& nics = cluster.hosts[index].nics;
      if (nics.empty()) continue;  // not stated
      std::set<std::string> names;
      for (const Cluster::Nic& nic : nics)
        if (first || names_.contains(nic.name)) names.insert(nic.name);
      names_ = std::move(names);
      first = false;
    }
  }
  double bps(size_t index) const {
    const std::vector<Cluster::Nic>& nics = cluster_.hosts[index].nics;
    double bps = 0;
    for (const Cluster::Nic& nic : nics) bps += names_.contains(nic.name) ? nic.bps : 0;
    return bps > 0 || nics.empty() ? bps : nics[0].bps;
  }

 private:
  const Cluster& cluster_;
  std::set<std::string> names_;
};

// Where a host of the file stands. Who is in no rack, while others are, has one of its own; and so on.
UsedHost used_host_of(const Cluster& cluster, const WrittenRails& rails, size_t index, double latency_s) {
  const Cluster::Host& host = cluster.hosts[index];
  const uint64_t racks = cluster.racks.size(), sites = cluster.sites.size();
  UsedHost used_host;
  used_host.cluster_rack = host.rack;
  used_host.rack = racks == 0 ? 0 : host.rack >= 0 ? static_cast<uint64_t>(host.rack) : racks + index;
  const int site = host.rack >= 0 ? cluster.racks[static_cast<size_t>(host.rack)].site : -1;
  used_host.site = sites == 0 ? 0 : site >= 0 ? static_cast<uint64_t>(site) : sites + used_host.rack;
  const double bps = rails.bps(index);
  used_host.link = {host.latency_s.value_or(latency_s), bps > 0 ? bps / 8 : link_of("host").bandwidth_Bps};
  return used_host;
}

// The links of the racks and sites that have one of the hosts: what is stated, but never more bytes than what is inside can
// send, and by default no quicker than what is inside.
class OuterLinks {
 public:
  OuterLinks(const std::vector<UsedHost>& used_hosts, const Cluster* cluster, bool one_machine) {
    const double rack_s = one_machine ? kKernelSeconds : link_of("rack").latency_s;
    const double site_s = one_machine ? kKernelSeconds : link_of("site").latency_s;
    for (const UsedHost& used_host : used_hosts) add(racks_, used_host.rack, used_host.link, rack_s);
    for (const UsedHost& used_host : used_hosts)
      if (used_host.cluster_rack >= 0) {
        const Cluster::Rack& rack = cluster->racks[static_cast<size_t>(used_host.cluster_rack)];
        state(racks_.at(used_host.rack), rack.uplink_bps, rack.latency_s);
      }
    std::map<uint64_t, uint64_t> outside;  // rack -> site
    for (const UsedHost& used_host : used_hosts) outside[used_host.rack] = used_host.site;
    for (const auto& [rack, site] : outside) add(sites_, site, racks_.at(rack), site_s);
    for (auto& [site, link] : sites_)
      if (cluster && site < cluster->sites.size()) state(link, cluster->sites[site].uplink_bps, cluster->sites[site].latency_s);
  }
  const Link& rack(const UsedHost& used_host) const { return racks_.at(used_host.rack); }
  const Link& site(const UsedHost& used_host) const { return sites_.at(used_host.site); }

 private:
  using Links = std::map<uint64_t, Link>;
  static void add(Links& links, uint64_t place, const Link& inner, double latency_s) {
    Link& link = links.try_emplace(place, Link{latency_s, 0}).first->second;
    link.latency_s = std::max(link.latency_s, inner.latency_s);
    link.bandwidth_Bps += inner.bandwidth_Bps;
  }
  static void state(Link& link, const std::optional<double>& bps, const std::optional<double>& latency_s) {
    if (bps) link.bandwidth_Bps = std::min(link.bandwidth_Bps, *bps / 8);
    if (latency_s) link.latency_s = *latency_s;
  }
  Links racks_, sites_;
};

Topology::Level level_inside(size_t level, const HostLink& host_link) {
  Topology::Level row = Topology::known_level(kNames[level]);
  row.memory = host_link.memory;
  if (level == kLevels - 1 || !host_link.memory)
    row.link = host_link.link;
  else
    row.link.latency_s = std::max(row.link.latency_s, host_link.link.latency_s);
  return row;
}

Topology build(const std::vector<UsedHost>& used_hosts, const std::vector<Rank>& ranks, const Cluster* cluster, const HostLink& host_link,
               bool one_machine) {
  const OuterLinks outer_links(used_hosts, cluster, one_machine);
  std::vector<Topology::Level> levels;
  std::vector<std::vector<uint64_t>> paths(ranks.size());
  std::vector<Topology::Uplink> uplinks;
  std::vector<uint32_t> place(ranks.size(), 0);  // on the levels so far
  uint32_t places = 1;
  for (size_t level = 0; level < kLevels; ++level) {
    const auto entry = [&](size_t rank) -> uint64_t {
      const UsedHost& used_host = used_hosts[ranks[rank].used_host];
      if (level == kSite) return used_host.site;
      if (level == kRack) return used_host.rack;
      return level == kHost ? ranks[rank].used_host : ranks[rank].inside[level - kFirstInside];
    };
    const bool last = level + 1 == kLevels;
    std::map<std::pair<uint32_t, uint64_t>, uint32_t> inner;
    std::vector<uint32_t> fresh(ranks.size());
    for (size_t rank = 0; rank < ranks.size(); ++rank)
      fresh[rank] = inner.try_emplace({place[rank], entry(rank)}, static_cast<uint32_t>(inner.size())).first->second;
    // A host is told from others even where its rack has no more of them: it has links of its own.
    const bool parts = inner.size() > places || (level == kHost && used_hosts.size() > 1);
    if (!parts && !last) continue;
    place = std::move(fresh);
    places = static_cast<uint32_t>(inner.size());
    levels.push_back(level < kFirstInside ? Topology::known_level(kNames[level]) : level_inside(level, host_link));
    for (size_t rank = 0; rank < ranks.size(); ++rank) {
      paths[rank].push_back(entry(rank));
      const UsedHost& used_host = used_hosts[ranks[rank].used_host];
      if (level >= kFirstInside) continue;
      uplinks.push_back({static_cast<int>(rank), levels.size() - 1,
                         level == kSite ? outer_links.site(used_host) : level == kRack ? outer_links.rack(used_host) : used_host.link});
    }
  }
  return Topology::from_paths(std::move(levels), paths, uplinks);
}


std::string names_of(const Cluster& cluster) {
  constexpr size_t kShown = 8;
  std::string names;
  for (size_t i = 0; i < std::min(cluster.hosts.size(), kShown); ++i) names += concat(i == 0 ? "" : ", ", cluster.hosts[i].name);
  return names + (cluster.hosts.size() > kShown ? ", ..." : "");
}

// A level inside a host tells its ranks apart only if each of them is bound to one place of it.
void place_inside(std::span<const Whereabouts> all, size_t used_hosts, std::vector<Rank>& ranks) {
  std::vector<std::array<bool, kInsides>> bound(used_hosts, {true, true, true, true});
  for (size_t i = 0; i < ranks.size(); ++i)
    for (size_t level = 0; level < kInsides; ++level)
      if (all[i].inside[level] < 0) bound[ranks[i].used_host][level] = false;
  for (size_t i = 0; i < ranks.size(); ++i)
    for (size_t level = 0; level < kInsides; ++level)
      if (bound[ranks[i].used_host][level]) ranks[i].inside[level] = static_cast<uint64_t>(all[i].inside[level]);
}

constexpr uint64_t kHashStart = 0xcbf29ce484222325u;  // FNV-1a

void mix(uint64_t& hash, const void* data, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) hash = (hash ^ static_cast<const unsigned char*>(data)[i]) * 0x100000001b3u;
}

template <typename Number>
void mix(uint64_t& hash, Number number) {
  mix(hash, &number, sizeof number);
}

}  // namespace

Result<Topology> assemble(std::span<const Whereabouts> all, const Cluster* hosts, const HostLink& host_link) {
  std::map<std::pair<std::string, uint64_t>, size_t> known;
  std::vector<UsedHost> used_hosts;
  std::vector<Rank> ranks;
  std::vector<int> lowest;  // rank of each host
  const bool one_machine =
      std::all_of(all.begin(), all.end(), [&](const Whereabouts& rank) { return rank.boot_id == all[0].boot_id; });
  const double latency_s = one_machine ? kKernelSeconds : link_of("host").latency_s;
  for (size_t i = 0; i < all.size(); ++i) {
    const auto [it, fresh] = known.try_emplace({all[i].boot_id, all[i].network}, used_hosts.size());
    if (fresh) {
      const double bps = all[i].nics_bps;
      used_hosts.emplace_back().link = {latency_s, bps > 0 ? bps / 8 : link_of("host").bandwidth_Bps};
      lowest.push_back(static_cast<int>(i));
    }
    ranks.push_back({it->second, {}});
  }
  // What a file says is about what is between hosts.
  if (hosts && used_hosts.size() > 1) {
    const HostNames names(*hosts);
    std::vector<size_t> indices;
    for (const int rank : lowest) {
      const std::string& name = all[static_cast<size_t>(rank)].host;
      const std::optional<size_t> index = names.find(name);
      if (!index)
        return fail(Code::InvalidArgument, "the host '", name, "' of rank ", rank, " is not in the topology file, which has ",
                    names_of(*hosts));
      indices.push_back(*index);
    }
    const WrittenRails rails(*hosts, indices);
    for (size_t i = 0; i < used_hosts.size(); ++i) {
      const double found_Bps = used_hosts[i].link.bandwidth_Bps;
      used_hosts[i] = used_host_of(*hosts, rails, indices[i], latency_s);
      if (hosts->hosts[indices[i]].nics.empty()) used_hosts[i].link.bandwidth_Bps = found_Bps;
    }
  }
  place_inside(all, used_hosts.size(), ranks);
  // Where ranks share cores, a message waits until its reader's turn comes: a switch for each rank of a core.
  const std::vector<double> crowds = crowding(all);
  const double most = *std::max_element(crowds.begin(), crowds.end());
  HostLink crowded = host_link;
  crowded.link.latency_s = std::max(host_link.link.latency_s, kSwitchSeconds * most);
  Topology topology = build(used_hosts, ranks, used_hosts.size() > 1 ? hosts : nullptr, crowded, one_machine);
  topology.set_crowding(std::max(most, 1.0));
  return topology;
}

Result<Topology> assemble(const Cluster& cluster, uint32_t machine_cores) {
  const HostLink host_link{link_of("core"), true};
  CpuMask cpus((machine_cores + 63) / 64);
  for (uint32_t core = 0; core < machine_cores; ++core) cpus[core / 64] |= uint64_t{1} << core % 64;
  std::vector<size_t> inhabited;
  for (size_t i = 0; i < cluster.hosts.size(); ++i)
    if (cluster.hosts[i].ranks > 0) inhabited.push_back(i);
  const WrittenRails rails(cluster, inhabited);
  std::vector<UsedHost> used_hosts;
  std::vector<Rank> ranks;
  std::vector<Whereabouts> here;  // as the ranks would tell it
  for (const size_t i : inhabited) {
    const size_t count = static_cast<size_t>(cluster.hosts[i].ranks);
    if (ranks.size() + count > Topology::kMaxRanks)
      return fail(Code::InvalidArgument, "more than ", Topology::kMaxRanks, " ranks (ranks= of the hosts)");
    ranks.insert(ranks.end(), count, {used_hosts.size(), {}});
    Whereabouts whereabouts;
    whereabouts.network = used_hosts.size();
    whereabouts.host = cluster.hosts[i].name;
    whereabouts.cpus = cpus;
    here.insert(here.end(), count, whereabouts);
    used_hosts.push_back(used_host_of(cluster, rails, i, link_of("host").latency_s));
  }
  if (ranks.empty()) return fail(Code::InvalidArgument, "there are no ranks: every host has ranks=0");
  return machine_cores > 0 ? assemble(here, &cluster, host_link) : build(used_hosts, ranks, &cluster, host_link, false);
}

bool is_path(const std::string& argument) {
  struct stat status;
  return argument.find('/') != std::string::npos || stat(argument.c_str(), &status) == 0;
}

Result<Topology> topology_of_argument(const std::string& argument, uint32_t machine_cores) {
  if (is_path(argument)) {
    const Result<Cluster> cluster = Cluster::read(argument);
    if (!cluster.ok()) return cluster.status();
    Result<Topology> topology = assemble(cluster.value(), machine_cores);
    if (!topology.ok()) return fail(Code::InvalidArgument, argument, ": ", topology.status().text());
    return topology;
  }
  if (machine_cores > 0) return fail(Code::InvalidArgument, "hosts of one machine need a topology file: there is none called '", argument, "'");
  Result<Topology> topology = Topology::synthetic(argument);
  if (topology.ok() || argument.find(':') != std::string::npos) return topology;
  return fail(Code::InvalidArgument, topology.status().text(), "; nor is there a file of that name");
}

std::vector<double> crowding(std::span<const Whereabouts> ranks) {
  struct Machine {
    CpuMask cpus;
    double ranks = 0, crowding = 0;
    bool unknown = false;
  };
  std::map<std::string_view, Machine> machines;
  for (const Whereabouts& rank : ranks) {
    Machine& machine = machines[rank.boot_id];
    ++machine.ranks;
    machine.unknown |= rank.cpus.empty();
    machine.cpus.resize(std::max(machine.cpus.size(), rank.cpus.size()));
    for (size_t i = 0; i < rank.cpus.size(); ++i) machine.cpus[i] |= rank.cpus[i];
  }
  for (auto& [name, machine] : machines) {
    int cores = 0;
    for (uint64_t word : machine.cpus) cores += std::popcount(word);
    if (!machine.unknown && machine.ranks > cores) machine.crowding = machine.ranks / cores;
  }
  std::vector<double> result;
  for (const Whereabouts& rank : ranks) result.push_back(machines[rank.boot_id].crowding);
  return result;
}

uint64_t hash_of(const Topology& topology) {
  uint64_t hash = kHashStart;
  mix(hash, topology.ranks());
  mix(hash, topology.crowding());
  for (size_t level = 0; level < topology.levels().size(); ++level) {
    const Topology::Level& row = topology.levels()[level];
    mix(hash, row.name.data(), row.name.size());
    mix(hash, row.memory);
    for (int rank = 0; rank < topology.ranks(); ++rank) {
      mix(hash, topology.place(rank, level));
      mix(hash, topology.uplink(rank, level).latency_s);
      mix(hash, topology.uplink(rank, level).bandwidth_Bps);
    }
  }
  return hash;
}

uint64_t hash_of(std::string_view text) {
  uint64_t hash = kHashStart;
  mix(hash, text.data(), text.size());
  return hash;
}

}  // namespace tutti

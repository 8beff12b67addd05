// seats: see seats.h.
#include "lib/comm/seats.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>

#include "lib/base/log.h"
#include "lib/topo/nics.h"

namespace tutti {
namespace {

// What travels at the end, as plain bytes.
struct Findings {
  uint64_t hash;  // of the topology, with ranks of one host reaching one another as by default
  double latency_s, bandwidth_Bps;
  uint32_t neighbours, memory;  // whether there are any; by memory
};

const HostLink kDefaultHostLink{Topology::known_level("core").link, true};

bool operator==(const HostLink& a, const HostLink& b) {
  return a.link.latency_s == b.link.latency_s && a.link.bandwidth_Bps == b.link.bandwidth_Bps && a.memory == b.memory;
}

std::string describe(const Topology& topology) {
  std::string text;
  for (const Topology::Split& split : topology.splits())
    text += concat(text.empty() ? "" : ", ", split.places, " x ", topology.levels()[split.level].name, " (",
                   text_of_rate(split.link.bandwidth_Bps * 8), ", ", text_of_time(split.link.latency_s), ")");
  return text;
}

}  // namespace

Status Seats::read(const Settings& settings, int rank, int ranks, bool split) {
  rank_ = rank;
  ranks_ = ranks;
  net_ifname_ = settings.text(Setting::NetIfname);
  Result<Whereabouts> mine = whereabouts_here();
  if (!mine.ok()) return mine.status();
  mine_ = std::move(mine.value());
  topo_ = settings.text(Setting::Topo);
  file_ = settings.text(Setting::TopoFile);
  if (!topo_.empty()) {
    Result<Topology> topology = Topology::synthetic(topo_);
    if (!topology.ok()) return settings.about(Setting::Topo, topology.status());
    const int described = topology.value().ranks();
    told_ = described == ranks;
    if (!told_ && !split)
      return settings.about(Setting::Topo, fail(Code::InvalidArgument, "describes ", described, " ranks, but the communicator has ", ranks,
                                                "; only one from CommSplit may have another number"));
    if (told_)
      topology_ = std::move(topology.value());
    else
      log_info(rank, "TUTTI_TOPO is not used: it describes ", described, " ranks, but this communicator of CommSplit has ", ranks);
  }
  if (!file_.empty()) {
    Result<Cluster> cluster = Cluster::read(file_);
    if (!cluster.ok()) return settings.about(Setting::TopoFile, cluster.status());
    file_hash_ = hash_of(tutti::text_of(cluster.value()));
    cluster_ = std::move(cluster.value());
  }
  return {};
}

std::string Seats::given() const { return concat(topo_, "|", file_hash_); }

std::string Seats::whereabouts() const { return ranks_ == 1 ? "" : text_of(mine_); }

Status Seats::hear(const std::vector<std::string>& all) {
  if (ranks_ == 1) return {};
  bool several_hosts = false;
  std::set<std::pair<std::string, uint64_t>> hosts;
  for (const std::string& text : all) {
    Result<Whereabouts> one = parse_whereabouts(text);
    if (!one.ok()) return fail(Code::InternalError, "rank ", here_.size(), ": ", one.status().text());
    together_ = !hosts.emplace(one.value().boot_id, one.value().network).second || together_;
    here_.push_back(std::move(one.value()));
    several_hosts = several_hosts || !here_.back().same_host(here_[0]);
  }
  for (int peer = 0; peer < rank_; ++peer) lowest_ = lowest_ && !same_host(peer);
  const auto silent = [](const Cluster::Host& host) { return host.nics.empty(); };
  const bool written = told_ || (cluster_ && std::none_of(cluster_->hosts.begin(), cluster_->hosts.end(), silent));
  nics_matter_ = several_hosts && !written;
  crowded_ = crowding(here_)[static_cast<size_t>(rank_)] > 0;
  return {};
}

bool Seats::one_clock() const {
  return std::all_of(here_.begin(), here_.end(), [&](const Whereabouts& one) { return one.boot_id == mine_.boot_id; });
}

std::string Seats::nics() const { return lowest_ ? std::to_string(static_cast<uint64_t>(usual_bps(outward_nics(net_ifname_)))) : ""; }

std::span<const Cluster::Nic> Seats::nics_written() const {
  const std::optional<size_t> host = cluster_ ? HostNames(*cluster_).find(mine_.host) : std::nullopt;
  return host ? std::span<const Cluster::Nic>(cluster_->hosts[*host].nics) : std::span<const Cluster::Nic>();
}

void Seats::hear_nics(const std::vector<std::string>& all) {
  for (size_t peer = 0; peer < all.size(); ++peer) here_[peer].nics_bps = static_cast<double>(std::strtoull(all[peer].c_str(), nullptr, 10));
}

Status Seats::place() {
  if (told_) return {};
  Result<Topology> topology = assembled(kDefaultHostLink);
  if (!topology.ok()) return fail(Code::InvalidArgument, "TUTTI_TOPO_FILE='", file_, "': ", topology.status().text());
  topology_ = std::move(topology.value());
  return {};
}

Result<Topology> Seats::assembled(const HostLink& host_link) const {
  if (ranks_ == 1) return Topology::flat(1, host_link.link);
  return assemble(here_, cluster_ ? &*cluster_ : nullptr, host_link);
}

std::string Seats::findings(const std::optional<HostLink>& host_link) const {
  const HostLink known = host_link.value_or(kDefaultHostLink);
  const Findings findings{hash_of(*topology_), known.link.latency_s, known.link.bandwidth_Bps, host_link.has_value(), known.memory};
  return std::string(reinterpret_cast<const char*>(&findings), sizeof findings);
}

Result<Topology> Seats::settle(const std::vector<std::string>& all) {
  HostLink slowest{{0, 1e12}, true};
  bool neighbours = false;
  uint64_t hash = 0;
  for (size_t peer = 0; peer < all.size(); ++peer) {
    Findings findings;
    if (all[peer].size() != sizeof findings) return fail(Code::InternalError, "rank ", peer, " sent a malformed answer");
    std::memcpy(&findings, all[peer].data(), sizeof findings);
    if (peer == 0) hash = findings.hash;
    if (findings.hash != hash)
      return fail(Code::InternalError, "ranks 0 and ", peer, " make different topologies of the same whereabouts: do they run different "
                  "builds of Tutti, or processors that calculate differently?");
    if (!findings.neighbours) continue;
    neighbours = true;
    slowest.link = {std::max(slowest.link.latency_s, findings.latency_s), std::min(slowest.link.bandwidth_Bps, findings.bandwidth_Bps)};
    slowest.memory = slowest.memory && findings.memory;
  }
  if (neighbours && !told_ && !(slowest == kDefaultHostLink)) {
    Result<Topology> topology = assembled(slowest);
    if (!topology.ok()) return topology;
    topology_ = std::move(topology.value());
  }
  if (rank_ == 0 && ranks_ > 1) {
    const std::string origin = told_ ? " (TUTTI_TOPO)" : cluster_ ? concat(" (TUTTI_TOPO_FILE=", file_, ")") : "";
    log_info(rank_, "topology", origin, ": ", describe(*topology_));
  }
  return std::move(*topology_);
}

}  // namespace tutti

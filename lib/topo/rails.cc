// rails: see rails.h.
#include "lib/topo/rails.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "lib/base/host.h"

namespace tutti {
namespace {

// The indices of the ranks' NICs in this network; empty unless all have one. Hosts that use the same address in it, as private networks of
// hosts do, are not joined by it.
std::vector<uint32_t> members(std::span<const RankNics> ranks, const std::string& network) {
  std::vector<uint32_t> indices;
  std::map<std::string, uint64_t> owner;
  if (network.empty()) return {};
  for (const RankNics& rank : ranks) {
    const auto nic = std::find_if(rank.nics.begin(), rank.nics.end(), [&](const Nic& n) { return n.network == network; });
    if (nic == rank.nics.end() || owner.try_emplace(nic->ip, rank.host).first->second != rank.host) return {};
    indices.push_back(static_cast<uint32_t>(nic - rank.nics.begin()));
  }
  return indices;
}

}  // namespace

Result<RankNics> rank_nics_here(const Settings& settings, std::span<const Cluster::Nic> written) {
  Result<std::vector<Nic>> nics = choose_nics(settings, written);
  if (!nics.ok()) return nics.status();
  return RankNics{host_number(), !settings.text(Setting::NetIfname).empty(), std::move(nics.value())};
}

void write(ByteWriter& to, const RankNics& rank) {
  to.number(rank.host);
  to.flag(rank.named);
  to.number(static_cast<uint32_t>(rank.nics.size()));
  for (const Nic& nic : rank.nics) {
    to.text(nic.name);
    to.text(nic.network);
    to.text(nic.ip);
    to.flag(nic.loopback);
    to.number(nic.bytes_per_s);
  }
}

void read(ByteReader& from, RankNics& rank) {
  uint32_t nics = 0;
  from.number(rank.host);
  from.flag(rank.named);
  from.number(nics);
  if (nics == 0 || nics > kMostRails) return from.refuse();
  rank.nics.resize(nics);
  for (Nic& nic : rank.nics) {
    from.text(nic.name);
    from.text(nic.network);
    from.text(nic.ip);
    from.flag(nic.loopback);
    from.number(nic.bytes_per_s);
  }
}

Rails match_rails(std::span<const RankNics> ranks) {
  Rails rails;
  std::set<std::string> seen;
  for (const Nic& nic : ranks[0].nics) {
    if (!seen.insert(nic.network).second) continue;
    if (std::vector<uint32_t> rail = members(ranks, nic.network); !rail.empty()) rails.push_back(std::move(rail));
  }
  const bool named = std::all_of(ranks.begin(), ranks.end(), [](const RankNics& rank) { return rank.named; });
  size_t count = named ? kMostRails : 1;
  for (const RankNics& rank : ranks) count = std::min(count, rank.nics.size());
  if (rails.size() >= count) return rails;
  rails.clear();
  for (uint32_t i = 0; i < count; ++i) rails.emplace_back(ranks.size(), i);
  return rails;
}

Deal deal_rails(std::span<const uint64_t> rates) {
  std::vector<double> weights(rates.begin(), rates.end()), due(rates.size(), 0);
  if (std::find(rates.begin(), rates.end(), 0) != rates.end()) weights.assign(rates.size(), 1);
  const double all = std::accumulate(weights.begin(), weights.end(), 0.0);
  Deal deal{};
  for (uint8_t& rail : deal) {  // to whom most is due
    for (size_t i = 0; i < due.size(); ++i) due[i] += weights[i];
    rail = static_cast<uint8_t>(std::max_element(due.begin(), due.end()) - due.begin());
    due[rail] -= all;
  }
  return deal;
}

RailsBetween rails_between(std::span<const RankNics> ranks, const Rails& rails, size_t a, size_t b) {
  bool reachable = true;
  std::vector<uint64_t> rates;
  for (const std::vector<uint32_t>& rail : rails) {
    const Nic &one = ranks[a].nics[rail[a]], &other = ranks[b].nics[rail[b]];
    rates.push_back(std::min(one.bytes_per_s, other.bytes_per_s));
    if ((one.loopback || other.loopback) && ranks[a].host != ranks[b].host) reachable = false;
  }
  return {reachable, deal_rails(rates)};
}

double least_Bps(std::span<const RankNics> ranks, const Rails& rails) {
  double least = 0;
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    double sum = 0;
    for (const std::vector<uint32_t>& rail : rails) {
      const uint64_t rate = ranks[rank].nics[rail[rank]].bytes_per_s;
      sum += rate > 0 ? static_cast<double>(rate) : kUnknownRateBps;
    }
    least = rank == 0 ? sum : std::min(least, sum);
  }
  return least;
}

}  // namespace tutti

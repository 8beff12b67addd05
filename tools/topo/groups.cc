// groups: see groups.h. Measurements on busy machines are off by half at times, so that only clear differences count.
#include "tools/topo/groups.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace tutti {
namespace {

constexpr double kSlower = 0.7, kLater = 2.5, kLaterSeconds = 20e-6;
constexpr double kNever = std::numeric_limits<double>::infinity();

// A few digits are all that a measurement is worth.
double rounded(double value) {
  if (value <= 0) return 0;
  const double unit = std::pow(10, std::floor(std::log10(value)) - 2);
  return std::round(value / unit) * unit;
}

bool some(const std::vector<int>& groups) {
  const int count = *std::max_element(groups.begin(), groups.end()) + 1;
  return count > 1 && static_cast<size_t>(count) < groups.size();
}

double soonest(const Measured& measured, size_t from, const std::vector<int>& groups, bool inside) {
  double best = kNever;
  for (size_t to = 0; to < groups.size(); ++to)
    if (to != from && (groups[to] == groups[from]) == inside) best = std::min({best, measured.latency_s[from][to], measured.latency_s[to][from]});
  return best;
}

double fastest(const Measured& measured, size_t from) {
  double best = 0;
  for (size_t to = 0; to < measured.bps.size(); ++to)
    if (to != from) best = std::max({best, measured.bps[from][to], measured.bps[to][from]});
  return best;
}

std::optional<double> latency_of(double seconds) {
  if (seconds == kNever) return {};
  return rounded(seconds);
}

}  // namespace

std::vector<int> groups_of(const Measured& measured) {
  const size_t n = measured.bps.size();
  const std::vector<int> all(n, 0);
  std::vector<int> group(n);
  std::iota(group.begin(), group.end(), 0);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = i + 1; j < n; ++j) {
      const double bps = std::max(measured.bps[i][j], measured.bps[j][i]);
      const double latency = std::min(measured.latency_s[i][j], measured.latency_s[j][i]);
      const double soon = std::max(soonest(measured, i, all, true), soonest(measured, j, all, true));
      // Both have to: a host that is alone behind a slow uplink knows nothing faster. So is one with a slow NIC, which looks the same.
      if (bps < kSlower * std::max(fastest(measured, i), fastest(measured, j))) continue;
      if (latency > std::max(kLater * soon, soon + kLaterSeconds)) continue;
      const int from = std::max(group[i], group[j]), to = std::min(group[i], group[j]);
      std::replace(group.begin(), group.end(), from, to);
    }
  std::vector<int> numbers(n, -1);
  int next = 0;
  for (int& number : group) {
    int& known = numbers[static_cast<size_t>(number)];
    if (known < 0) known = next++;
    number = known;
  }
  return group;
}

Measured between_groups(const Measured& measured, const std::vector<int>& groups) {
  const size_t count = static_cast<size_t>(*std::max_element(groups.begin(), groups.end())) + 1;
  Measured between{Matrix(count, std::vector<double>(count, kNever)), Matrix(count, std::vector<double>(count, 0))};
  for (size_t i = 0; i < groups.size(); ++i)
    for (size_t j = 0; j < groups.size(); ++j) {
      const size_t a = static_cast<size_t>(groups[i]), b = static_cast<size_t>(groups[j]);
      if (a == b) continue;
      between.latency_s[a][b] = std::min(between.latency_s[a][b], measured.latency_s[i][j]);
      between.bps[a][b] = std::max(between.bps[a][b], measured.bps[i][j]);
    }
  return between;
}

Cluster cluster_of(const Measured& measured, std::vector<Cluster::Host> hosts) {
  Cluster cluster;
  cluster.hosts = std::move(hosts);
  std::vector<int> racks = groups_of(measured);
  const bool has_racks = some(racks);
  if (!has_racks) racks.assign(racks.size(), 0);
  for (size_t i = 0; i < cluster.hosts.size(); ++i) {
    Cluster::Host& host = cluster.hosts[i];
    for (Cluster::Nic& nic : host.nics) nic.bps = rounded(fastest(measured, i) / static_cast<double>(host.nics.size()));
    host.latency_s = latency_of(soonest(measured, i, racks, true));
    if (has_racks) host.rack = racks[i];
  }
  if (!has_racks) return cluster;
  const Measured between = between_groups(measured, racks);
  const size_t count = between.bps.size();
  std::vector<int> sites = groups_of(between);
  const bool has_sites = some(sites);
  if (!has_sites) sites.assign(count, 0);
  for (size_t i = 0; i < count; ++i)
    cluster.racks.push_back({concat("r", i), has_sites ? sites[i] : -1, {}, latency_of(soonest(between, i, sites, true))});
  if (!has_sites) return cluster;
  const Measured far = between_groups(between, sites);
  const std::vector<int> one(far.bps.size(), 0);
  for (size_t i = 0; i < far.bps.size(); ++i) cluster.sites.push_back({concat("s", i), {}, latency_of(soonest(far, i, one, true))});
  return cluster;
}

}  // namespace tutti

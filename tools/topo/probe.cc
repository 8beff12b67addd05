// probe: see probe.h. One pair of hosts after the other, so that pairs do not disturb one another: latency by half a round trip,
// bandwidth each way by a message long enough. Then all hosts of a rack send at once, which shows an uplink that they share.
// Every rank takes part in every step, and all make the same groups of the same figures.
#include "tools/topo/probe.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <optional>

#include "lib/base/clock.h"
#include "lib/topo/nics.h"
#include "lib/topo/whereabouts.h"
#include "tools/failure.h"
#include "tools/launch/launch.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/tool.h"
#include "tools/topo/groups.h"

namespace tutti::show {
namespace {

using tool::check;

constexpr int kRounds = 41;
constexpr size_t kLeastBytes = 256 << 10, kMostBytes = 32 << 20;
constexpr double kMostSeconds = 0.3;  // for one measurement
// An uplink that carries less than this share of what its hosts can send is stated.
constexpr double kFull = 0.85;

// What a rank says of itself, as plain bytes.
struct Card {
  char whereabouts[2048], host[256], nics[8][16];
  int32_t nic_count;
};

struct Host {
  Whereabouts where;
  int rank;  // that speaks for it: the lowest
  Cluster::Host row;
};

double seconds_since(int64_t begin_ns) { return static_cast<double>(now_ns() - begin_ns) * 1e-9; }

class Probe {
 public:
  Probe(const tool::Job& job, double seconds)
      : rank_(job.process), ranks_(job.processes), seconds_(seconds) {
    check(tuttiCommInitRank(&comm_, ranks_, job.id, rank_), "CommInitRank", rank_);
  }
  ~Probe() { tuttiCommDestroy(comm_); }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  Cluster measure();
  const Measured& measured() const { return measured_; }

 private:
  void send(const void* data, size_t bytes, int to) { check(tuttiSend(data, bytes, tuttiUint8, to, comm_, nullptr), "Send", rank_); }
  void receive(void* data, size_t bytes, int from) { check(tuttiRecv(data, bytes, tuttiUint8, from, comm_, nullptr), "Recv", rank_); }
  void meet() { check(tuttiBarrier(comm_, nullptr), "Barrier", rank_); }

  void find_hosts();
  double latency(int peer, bool first);
  double send_timed(int peer, size_t bytes);
  double bandwidth(int peer, bool sends, double seconds);
  void measure_pairs();
  void share_figures();
  double all_at_once(const std::vector<size_t>& from, const std::vector<size_t>& to);
  void measure_uplinks(Cluster& cluster);

  const int rank_, ranks_;
  const double seconds_;
  tuttiComm_t comm_ = nullptr;
  std::vector<char> buffer_;  // of a rank that speaks for its host
  std::vector<Host> hosts_;
  Measured measured_;
  std::optional<tool::Progress> progress_;  // of rank 0, while pairs are measured
};

void Probe::find_hosts() {
  Card mine{};
  const Result<Whereabouts> here = whereabouts_here();
  if (!here.ok()) throw tool::Failure(here.status().text());
  std::strncpy(mine.whereabouts, text_of(here.value()).c_str(), sizeof mine.whereabouts - 1);
  gethostname(mine.host, sizeof mine.host - 1);
  for (const Nic& nic : outward_nics())
    if (mine.nic_count < 8) std::strncpy(mine.nics[mine.nic_count++], nic.name.c_str(), 15);
  std::vector<Card> cards(static_cast<size_t>(ranks_));
  check(tuttiAllGather(&mine, cards.data(), sizeof mine, tuttiUint8, comm_, nullptr), "AllGather", rank_);
  for (int rank = 0; rank < ranks_; ++rank) {
    const Card& card = cards[static_cast<size_t>(rank)];
    const Result<Whereabouts> where = parse_whereabouts(card.whereabouts);
    if (!where.ok()) throw tool::Failure(where.status().text());
    const auto same = [&](const Host& host) { return host.where.same_host(where.value()); };
    const auto known = std::find_if(hosts_.begin(), hosts_.end(), same);
    if (known != hosts_.end()) {
      ++known->row.ranks;
      continue;
    }
    for (const Host& other : hosts_)
      if (other.row.name == card.host)
        throw tool::Failure(concat("ranks ", other.rank, " and ", rank, " are on different hosts that are both called '", card.host,
                                   "': a topology file tells hosts by their names"));
    if (rank == rank_) buffer_.resize(kMostBytes);
    Host& host = hosts_.emplace_back(Host{where.value(), rank, {card.host}});
    for (int i = 0; i < card.nic_count; ++i) host.row.nics.push_back({card.nics[i], 0});
    if (host.row.nics.empty()) host.row.nics.push_back({"eth0", 0});
  }
}

// Half of the soonest round trip of a byte, since whatever else a host does only ever adds; each end takes the time from its own send.
double Probe::latency(int peer, bool first) {
  double soonest = std::numeric_limits<double>::infinity();
  char byte = 0;
  if (!first) receive(&byte, 1, peer);
  for (int round = 0; round < kRounds; ++round) {
    const int64_t begin = now_ns();
    send(&byte, 1, peer);
    if (!first && round + 1 == kRounds) break;
    receive(&byte, 1, peer);
    soonest = std::min(soonest, seconds_since(begin));
  }
  return soonest / 2;
}

// Until the answer is here, so that nothing is left in a queue.
double Probe::send_timed(int peer, size_t bytes) {
  char answer = 0;
  const int64_t begin = now_ns();
  send(buffer_.data(), bytes, peer);
  receive(&answer, 1, peer);
  return seconds_since(begin);
}

// Bits per second, for the sender; 0 for the receiver. A first message says how long the one that counts has to be.
double Probe::bandwidth(int peer, bool sends, double seconds) {
  uint64_t bytes = kLeastBytes;
  const char answer = 1;
  if (!sends) {
    for (int message = 0; message < 2; ++message) {
      receive(buffer_.data(), bytes, peer);
      send(&answer, 1, peer);
      if (message == 0) receive(&bytes, sizeof bytes, peer);
    }
    return 0;
  }
  const double trial = send_timed(peer, bytes);
  bytes = static_cast<uint64_t>(std::clamp(static_cast<double>(bytes) * seconds / trial, double{kLeastBytes}, double{kMostBytes}));
  send(&bytes, sizeof bytes, peer);
  return static_cast<double>(bytes) * 8 / send_timed(peer, bytes);
}

void Probe::measure_pairs() {
  const size_t n = hosts_.size();
  measured_ = {Matrix(n, std::vector<double>(n)), Matrix(n, std::vector<double>(n))};
  const double each = std::min(kMostSeconds, seconds_ / static_cast<double>(n * n));
  double pairs = 0;
  for (size_t a = 0; a < n; ++a)
    for (size_t b = a + 1; b < n; ++b) {
      meet();
      // Rank 0 has met the others, so that all pairs before this one are done.
      if (progress_) progress_->at(pairs, concat(hosts_[a].row.name, " and ", hosts_[b].row.name));
      ++pairs;
      const bool first = hosts_[a].rank == rank_;
      if (!first && hosts_[b].rank != rank_) continue;
      const size_t me = first ? a : b, other = first ? b : a;
      const int peer = hosts_[other].rank;
      // Before and after the long messages: what else a host does seldom lasts that long.
      const double before = latency(peer, first);
      for (bool forth : {true, false})
        if (const double bps = bandwidth(peer, forth == first, each); bps > 0) measured_.bps[me][other] = bps;
      measured_.latency_s[me][other] = std::min(before, latency(peer, first));
    }
}

// Each host's row, from the rank that speaks for it, to all.
void Probe::share_figures() {
  for (size_t host = 0; host < hosts_.size(); ++host)
    for (Matrix* matrix : {&measured_.latency_s, &measured_.bps}) {
      std::vector<double>& row = (*matrix)[host];
      check(tuttiBroadcast(row.data(), row.data(), row.size(), tuttiDouble, hosts_[host].rank, comm_, nullptr), "Broadcast", rank_);
    }
}

// Bits per second out of `from` when all of them send at once, each to one of `to`.
double Probe::all_at_once(const std::vector<size_t>& from, const std::vector<size_t>& to) {
  const double most = static_cast<double>(kMostBytes / from.size());
  double total = 0;
  meet();
  const int64_t begin = now_ns();
  check(tuttiGroupStart(), "GroupStart", rank_);
  size_t at = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    const size_t target = to[i % to.size()];
    const size_t bytes = static_cast<size_t>(std::clamp(measured_.bps[from[i]][target] / 8 * kMostSeconds, 1.0, most));
    total += static_cast<double>(bytes) * 8;
    if (hosts_[from[i]].rank == rank_) send(buffer_.data(), bytes, hosts_[target].rank);
    if (hosts_[target].rank == rank_) receive(buffer_.data() + at, bytes, hosts_[from[i]].rank), at += bytes;
  }
  check(tuttiGroupEnd(), "GroupEnd", rank_);
  meet();
  double took = seconds_since(begin);
  check(tuttiBroadcast(&took, &took, 1, tuttiDouble, 0, comm_, nullptr), "Broadcast", rank_);
  return total / took;
}

// A place's uplink carries what one of its hosts was seen to send alone, and what all send together. It is stated if that is less
// than their NICs, and the NICs of those they send to, would let through.
void Probe::measure_uplinks(Cluster& cluster) {
  const auto limit = [&](std::optional<double>& uplink_bps, const auto& inside) {
    std::vector<size_t> from, to;
    double able_from = 0, able_to = 0, carried = 0;
    for (size_t host = 0; host < cluster.hosts.size(); ++host) {
      const bool is_inside = inside(cluster.hosts[host]);
      (is_inside ? from : to).push_back(host);
      for (const Cluster::Nic& nic : cluster.hosts[host].nics) (is_inside ? able_from : able_to) += nic.bps;
    }
    if (from.empty() || to.empty()) return;
    for (size_t a : from)
      for (size_t b : to) carried = std::max({carried, measured_.bps[a][b], measured_.bps[b][a]});
    carried = std::max(carried, all_at_once(from, to));
    if (carried < kFull * std::min(able_from, able_to)) uplink_bps = std::round(carried / 1e6) * 1e6;
  };
  for (size_t r = 0; r < cluster.racks.size(); ++r)
    limit(cluster.racks[r].uplink_bps, [&](const Cluster::Host& host) { return host.rack == static_cast<int>(r); });
  for (size_t s = 0; s < cluster.sites.size(); ++s)
    limit(cluster.sites[s].uplink_bps,
          [&](const Cluster::Host& host) { return cluster.racks[static_cast<size_t>(host.rack)].site == static_cast<int>(s); });
}

Cluster Probe::measure() {
  find_hosts();
  std::vector<Cluster::Host> rows;
  for (const Host& host : hosts_) rows.push_back(host.row);
  if (hosts_.size() == 1) {
    rows[0].nics.clear();  // nobody has seen them work
    Cluster cluster;
    cluster.hosts = rows;
    return cluster;
  }
  if (rank_ == 0) progress_.emplace("measuring", "pairs of hosts", static_cast<double>(hosts_.size() * (hosts_.size() - 1) / 2));
  measure_pairs();
  progress_.reset();
  share_figures();
  Cluster cluster = cluster_of(measured_, rows);
  measure_uplinks(cluster);
  return cluster;
}

std::string text_of(const Cluster& cluster, const Measured& measured, int ranks) {
  std::string text = concat("# Measured by tutti-topo --probe over ", ranks, " ranks. Racks are guesses from what differs: check them.\n");
  if (measured.bps.empty()) text += "# There was one host only: nothing was measured.\n";
  for (size_t i = 0; i < measured.bps.size() && measured.bps.size() <= 16; ++i) {
    text += concat("# ", cluster.hosts[i].name, " to others:");
    for (size_t j = 0; j < measured.bps.size(); ++j)
      if (i != j) {
        char figures[96];
        std::snprintf(figures, sizeof figures, "  %s %.0f us %.0f Mbit", cluster.hosts[j].name.c_str(), measured.latency_s[i][j] * 1e6,
                      measured.bps[i][j] / 1e6);
        text += figures;
      }
    text += "\n";
  }
  return text + tutti::text_of(cluster);
}

int run(const tool::Job& job, const std::string& path, double seconds) {
  try {
    Probe probe(job, seconds);
    const Cluster cluster = probe.measure();
    if (job.process != 0) return 0;
    const std::string text = text_of(cluster, probe.measured(), job.processes);
    if (path == "-") return std::fputs(text.c_str(), stdout), 0;
    const std::string trouble = tool::write_file(path, text);
    if (trouble.empty()) return 0;
    std::fprintf(stderr, "tutti-topo: --probe: %s\n", trouble.c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tutti-topo: %s\n", tool::sentence_of(error).c_str());
  }
  return 1;
}

}  // namespace

int probe(const std::string& path, double seconds) {
  const auto refuse = [&](const tool::Job& job) -> std::string {
    if (job.launcher.empty() || job.processes < 2)
      return "--probe measures between ranks: start some on every host, as in tutti-run -n 4 tutti-topo --probe FILE";
    const std::string trouble = job.process == 0 && path != "-" ? tool::cannot_write(path) : "";
    return trouble.empty() ? "" : "--probe: " + trouble;
  };
  return tool::launch("tutti-topo", {.refuse = refuse}, [&](const tool::Job& job) { return run(job, path, seconds); });
}

}  // namespace tutti::show

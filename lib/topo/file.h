// file: the topology file that a person writes, as plain data: sites, racks, hosts, their links, and what is wrong with it.
//
// One statement per line, # begins a comment, names may be used before they are declared:
//   site s0 [uplink=RATE] [latency=TIME]
//   rack r0 [site=s0] [uplink=RATE] [latency=TIME]
//   host a  [rack=r0] [nic=[IFACE:]RATE]... [latency=TIME] [ranks=N]
// RATE: bits per second, like 500Mbit, 2.5Gbit. TIME: 20us, 5ms. A name may stand for many: host n[0-31] rack=r0. Several nic=
// are rails; those without a name are eth0, eth1, ... by their place in the line. latency: of one empty message between ranks
// that part at such a place, on its way: what the kernel does for it at both ends comes on top. ranks: how many a simulation or a cluster of namespaces puts there.
// Limits: 65536 places of a kind, 64 NICs of a host, 2^19 NICs and 16 MiB of names in all. These limits and the length of the text bound
// the time and memory of reading.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/topo/quantity.h"

namespace tutti {

struct Cluster {
  struct Site {
    std::string name;
    std::optional<double> uplink_bps, latency_s;  // bits per second
    bool operator==(const Site&) const = default;
  };
  struct Rack {
    std::string name;
    int site = -1;  // index, or none
    std::optional<double> uplink_bps, latency_s;
    bool operator==(const Rack&) const = default;
  };
  struct Nic {
    std::string name;
    double bps;
    bool operator==(const Nic&) const = default;
  };
  struct Host {
    std::string name;
    int rack = -1;
    std::vector<Nic> nics = {};  // empty: not stated
    std::optional<double> latency_s = {};
    int ranks = 1;
    bool operator==(const Host&) const = default;
  };
  std::vector<Site> sites;
  std::vector<Rack> racks;
  std::vector<Host> hosts;

  uint64_t ranks() const;  // of all hosts: they may be more than a topology can have
  bool operator==(const Cluster&) const = default;

  // The error names the file, and line and text of the first mistake.
  static Result<Cluster> read(const std::string& path);
};

struct Diagnostic {
  int line;
  std::string text;
};

struct ClusterReading {
  Cluster cluster;               // of use only when there are no mistakes
  std::vector<Diagnostic> mistakes;  // by line; the first kMaxDiagnostics that were found
  std::vector<Diagnostic> hints;     // what is correct, but probably not intended; by line, kMaxDiagnostics at most
  uint64_t more_mistakes = 0, more_hints = 0;  // how many were not kept
};
inline constexpr size_t kMaxDiagnostics = 100;
ClusterReading parse_cluster(std::string_view text);

// Finds hosts by their names. "node7" and "node7.example.org" are the same host. REQUIRES: the cluster outlives this.
class HostNames {
 public:
  explicit HostNames(const Cluster& cluster);
  // The host's index. If a short name fits several hosts, the last of them.
  std::optional<size_t> find(std::string_view name) const;

 private:
  std::map<std::string_view, size_t> whole_, up_to_dot_;
};

// The whole text of a file. It must be smaller than 16 MiB.
Result<std::string> read_text(const std::string& path);

// The cluster as the text of a file. Parsing the text gives an equal cluster.
std::string text_of(const Cluster& cluster);

}  // namespace tutti

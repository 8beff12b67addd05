// file: parses line by line and goes on after a mistake, so that all are told at once; see file.h.
//
// In: text. Out: a Cluster whose indices are all valid, and the mistakes. References are looked up at the end, since names may be
// used before they are declared.
#include "lib/topo/file.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>

#include "lib/topo/names.h"
#include "lib/topo/topology.h"

namespace tutti {
namespace {

constexpr size_t kMaxFileBytes = 16 << 20;
constexpr size_t kMaxPlaces = 1 << 16;           // of one kind
constexpr size_t kMaxNamesBytes = kMaxFileBytes;  // of all names, written out
constexpr size_t kMaxNics = 64;                  // of one host
constexpr size_t kMaxAllNics = 1 << 19;
constexpr size_t kMaxInterfaceName = 15;  // Linux has no longer ones
constexpr size_t kMaxDiagnosticBytes = 512;   // a longer diagnostic is cut

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  constexpr std::string_view kBlank = " \t\r";
  for (size_t at = line.find_first_not_of(kBlank); at < line.size();) {
    const size_t end = std::min(line.find_first_of(kBlank, at), line.size());
    words.push_back(line.substr(at, end - at));
    at = line.find_first_not_of(kBlank, end);
  }
  return words;
}

class Parser {
 public:
  ClusterReading parse(std::string_view text);

 private:
  // A place that a line speaks of; the names it may stand for come with it.
  struct Use {
    int line;
    size_t first, last;  // places of the using kind, [first, last)
    std::string name;
  };
  // The places of one kind.
  struct Names {
    std::map<std::string, std::pair<size_t, int>> known;  // name -> index, line
    uint64_t said = 0;                                    // all names, with those that are declared twice
  };

  template <typename... Args>
  void mistake(const Args&... args) {
    diagnose(reading_.mistakes, reading_.more_mistakes, line_, args...);
  }
  // Beyond kMaxDiagnostics it only counts, and makes no text.
  template <typename... Args>
  static void diagnose(std::vector<Diagnostic>& diagnostics, uint64_t& more, int line, const Args&... args) {
    if (diagnostics.size() == kMaxDiagnostics) return void(++more);
    std::string text = concat(args...);
    if (text.size() > kMaxDiagnosticBytes) text.replace(kMaxDiagnosticBytes, std::string::npos, "...");
    diagnostics.push_back({line, std::move(text)});
  }
  void statement(const std::vector<std::string_view>& words);
  bool within_limits(std::string_view kind, const NameRange& range, size_t nics, Names& names);
  template <typename Place>
  void declare(std::string_view kind, std::string_view word, const Place& place, size_t nics, std::vector<Place>& places, Names& names);
  bool set_common(std::string_view key, std::string_view value, std::optional<double>* uplink, std::optional<double>& latency);
  void add_nic(Cluster::Host& host, std::string_view value);
  void set_ranks(Cluster::Host& host, std::string_view value);
  // Each key once, but nic.
  bool fresh(std::string_view key);
  void resolve();
  void add_hints();

  ClusterReading reading_;
  Names sites_, racks_, hosts_;
  std::vector<Use> rack_uses_, site_uses_;
  std::vector<std::string> seen_;  // keys of this line
  size_t names_bytes_ = 0, nics_ = 0;
  int line_ = 0;
};

bool Parser::fresh(std::string_view key) {
  if (std::find(seen_.begin(), seen_.end(), key) != seen_.end()) {
    mistake("'", key, "' is given twice");
    return false;
  }
  seen_.emplace_back(key);
  return true;
}

// Whether a statement's names may be written out. Names that were declared before count again: otherwise a short text could repeat a
// range, which would be written out many times.
bool Parser::within_limits(std::string_view kind, const NameRange& range, size_t nics, Names& names) {
  const uint64_t size = range.size();
  if (size > kMaxPlaces - names.said) return mistake("more than ", kMaxPlaces, " names of '", kind, "'"), false;
  if (size * range.longest_bytes() > kMaxNamesBytes - names_bytes_) return mistake("all names together are longer than 16 MiB"), false;
  if (size * nics > kMaxAllNics - nics_) return mistake("more than ", kMaxAllNics, " NICs in all"), false;
  names.said += size;
  names_bytes_ += size * range.longest_bytes();
  nics_ += size * nics;
  return true;
}

template <typename Place>
void Parser::declare(std::string_view kind, std::string_view word, const Place& place, size_t nics, std::vector<Place>& places,
                     Names& names) {
  const Result<NameRange> range = NameRange::parse(word);
  if (!range.ok()) return mistake(range.status().text());
  if (!within_limits(kind, range.value(), nics, names)) return;
  for (uint64_t i = 0; i < range.value().size(); ++i) {
    std::string name = range.value().name(i);
    const auto [it, fresh_name] = names.known.try_emplace(name, places.size(), line_);
    if (!fresh_name) {
      mistake(kind, " '", name, "' is declared twice; first in line ", it->second.second);
    } else {
      places.push_back(place);
      places.back().name = std::move(name);
    }
  }
}

// uplink=, latency=: true if it was one of them.
bool Parser::set_common(std::string_view key, std::string_view value, std::optional<double>* uplink,
                        std::optional<double>& latency) {
  if (key == "uplink" && uplink) {
    *uplink = parse_rate(value);
    if (!*uplink) mistake("uplink='", value, "' is not a rate in bits per second like 500Mbit or 2.5Gbit");
    return fresh(key), true;
  }
  if (key == "latency") {
    latency = parse_time(value);
    if (!latency) mistake("latency='", value, "' is not a time like 20us or 5ms");
    return fresh(key), true;
  }
  return false;
}

void Parser::add_nic(Cluster::Host& host, std::string_view value) {
  const size_t colon = value.find(':');
  const std::string name = colon == std::string_view::npos ? concat("eth", host.nics.size()) : std::string(value.substr(0, colon));
  const std::string_view rate = colon == std::string_view::npos ? value : value.substr(colon + 1);
  const std::optional<double> bps = parse_rate(rate);
  if (!bps) return mistake("nic='", value, "': '", rate, "' is not a rate in bits per second like 500Mbit or 2.5Gbit");
  if (!is_name(name) || name.size() > kMaxInterfaceName || name == "lo")
    return mistake("nic='", value, "': '", name, "' is no name for an interface (at most ", kMaxInterfaceName, " characters, not lo)");
  for (const Cluster::Nic& nic : host.nics)
    if (nic.name == name) return mistake("nic='", value, "': the host has a NIC '", name, "' already");
  if (host.nics.size() == kMaxNics) return mistake("more than ", kMaxNics, " NICs");
  host.nics.push_back({name, *bps});
}

void Parser::set_ranks(Cluster::Host& host, std::string_view value) {
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), host.ranks);
  if (error != std::errc() || end != value.data() + value.size() || host.ranks < 0 || host.ranks > Topology::kMaxRanks)
    mistake("ranks='", value, "' is not a number from 0 to ", Topology::kMaxRanks);
}

void Parser::statement(const std::vector<std::string_view>& words) {
  const std::string_view kind = words[0];
  const bool site = kind == "site", rack = kind == "rack", host = kind == "host";
  if (!site && !rack && !host) return mistake("'", kind, "' is not a statement: site, rack or host");
  if (words.size() < 2) return mistake("'", kind, "' needs a name");
  Cluster::Site new_site;
  Cluster::Rack new_rack;
  Cluster::Host new_host;
  std::string inside;  // the place outside
  seen_.clear();
  for (size_t i = 2; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    if (equals == std::string_view::npos) {
      mistake("'", words[i], "' is not of the form key=value");
      continue;
    }
    const std::string_view key = words[i].substr(0, equals), value = words[i].substr(equals + 1);
    const char* known = site ? "uplink, latency" : rack ? "site, uplink, latency" : "rack, nic, latency, ranks";
    std::optional<double>* uplink = site ? &new_site.uplink_bps : rack ? &new_rack.uplink_bps : nullptr;
    std::optional<double>& latency = site ? new_site.latency_s : rack ? new_rack.latency_s : new_host.latency_s;
    if (set_common(key, value, uplink, latency)) continue;
    if ((rack && key == "site") || (host && key == "rack")) {
      if (fresh(key)) inside = value;
      if (value.empty()) mistake("'", key, "=' needs a name");
    } else if (host && key == "nic") {
      add_nic(new_host, value);
    } else if (host && key == "ranks") {
      if (fresh(key)) set_ranks(new_host, value);
    } else {
      mistake("a ", kind, " has no '", key, "' (known: ", known, ")");
    }
  }
  Cluster& cluster = reading_.cluster;
  const size_t first = site ? cluster.sites.size() : rack ? cluster.racks.size() : cluster.hosts.size();
  if (site) declare(kind, words[1], new_site, 0, cluster.sites, sites_);
  if (rack) declare(kind, words[1], new_rack, 0, cluster.racks, racks_);
  if (host) declare(kind, words[1], new_host, new_host.nics.size(), cluster.hosts, hosts_);
  if (!inside.empty()) (rack ? site_uses_ : rack_uses_).push_back({line_, first, rack ? cluster.racks.size() : cluster.hosts.size(), inside});
}

void Parser::resolve() {
  Cluster& cluster = reading_.cluster;
  const auto look_up = [&](const Use& use, const char* kind, const Names& names, const auto& set) {
    line_ = use.line;
    const auto it = names.known.find(use.name);
    if (it == names.known.end()) return mistake(kind, " '", use.name, "' is not declared");
    for (size_t place = use.first; place < use.last; ++place) set(place, static_cast<int>(it->second.first));
  };
  for (const Use& use : site_uses_)
    look_up(use, "site", sites_, [&](size_t place, int site) { cluster.racks[place].site = site; });
  for (const Use& use : rack_uses_)
    look_up(use, "rack", racks_, [&](size_t place, int rack) { cluster.hosts[place].rack = rack; });
  if (cluster.hosts.empty() && reading_.mistakes.empty()) {
    line_ = std::max(line_, 1);
    mistake("there is no host");
  }
}

void Parser::add_hints() {
  const Cluster& cluster = reading_.cluster;
  const auto hint = [&](const Names& names, const std::string& name, const auto&... text) {
    const bool kept = reading_.hints.size() < kMaxDiagnostics;
    diagnose(reading_.hints, reading_.more_hints, kept ? names.known.at(name).second : 0, text...);
  };
  std::map<std::string, size_t> owners;  // of NICs, by name
  std::vector<bool> has_rack(cluster.sites.size()), has_host(cluster.racks.size());
  size_t stated = 0;
  for (const Cluster::Rack& rack : cluster.racks)
    if (rack.site >= 0) has_rack[static_cast<size_t>(rack.site)] = true;
  for (const Cluster::Host& host : cluster.hosts) {
    if (host.rack >= 0) has_host[static_cast<size_t>(host.rack)] = true;
    stated += !host.nics.empty();
    for (const Cluster::Nic& nic : host.nics) ++owners[nic.name];
  }
  for (size_t i = 0; i < cluster.sites.size(); ++i)
    if (!has_rack[i]) hint(sites_, cluster.sites[i].name, "site '", cluster.sites[i].name, "' has no rack");
  for (size_t i = 0; i < cluster.racks.size(); ++i) {
    const Cluster::Rack& rack = cluster.racks[i];
    if (!has_host[i]) hint(racks_, rack.name, "rack '", rack.name, "' has no host");
    if (rack.site < 0 && !cluster.sites.empty()) hint(racks_, rack.name, "rack '", rack.name, "' is in no site: it is one of its own");
  }
  for (const Cluster::Host& host : cluster.hosts) {
    if (host.rack < 0 && !cluster.racks.empty()) hint(hosts_, host.name, "host '", host.name, "' is in no rack: it is one of its own");
    for (const Cluster::Nic& nic : host.nics)
      if (owners[nic.name] < stated)
        hint(hosts_, host.name, "host '", host.name, "' has a NIC '", nic.name, "', others have not: rails are what all have that take part");
  }
  if (const uint64_t ranks = cluster.ranks(); ranks > Topology::kMaxRanks)
    hint(hosts_, cluster.hosts.back().name, ranks, " ranks (ranks= of the hosts) are more than the ", Topology::kMaxRanks,
         " that can be simulated");
}

ClusterReading Parser::parse(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    ++line_;
    line = line.substr(0, line.find('#'));
    if (const std::vector<std::string_view> words = words_of(line); !words.empty()) statement(words);
    at = end + 1;
  }
  resolve();
  if (reading_.mistakes.empty()) add_hints();
  const auto by_line = [](const Diagnostic& a, const Diagnostic& b) { return a.line < b.line; };
  std::stable_sort(reading_.mistakes.begin(), reading_.mistakes.end(), by_line);
  std::stable_sort(reading_.hints.begin(), reading_.hints.end(), by_line);
  return std::move(reading_);
}

}  // namespace

ClusterReading parse_cluster(std::string_view text) {
  return Parser().parse(text);
}

Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(Code::InvalidArgument, "topology file ", path, " cannot be read");
  std::string text;
  for (char part[4096]; file.read(part, sizeof part), file.gcount() > 0 && text.size() < kMaxFileBytes;)
    text.append(part, static_cast<size_t>(file.gcount()));
  if (file.bad() || text.size() >= kMaxFileBytes)
    return fail(Code::InvalidArgument, "topology file ", path, file.bad() ? " cannot be read" : " is longer than 16 MiB");
  return text;
}

uint64_t Cluster::ranks() const {
  uint64_t ranks = 0;
  for (const Host& host : hosts) ranks += static_cast<uint64_t>(host.ranks);
  return ranks;
}

Result<Cluster> Cluster::read(const std::string& path) {
  Result<std::string> text = read_text(path);
  if (!text.ok()) return text.status();
  ClusterReading reading = parse_cluster(text.value());
  if (reading.mistakes.empty()) return std::move(reading.cluster);
  const Diagnostic& first = reading.mistakes.front();
  const uint64_t more = reading.mistakes.size() - 1 + reading.more_mistakes;
  return fail(Code::InvalidArgument, path, ":", first.line, ": ", first.text,
              more == 0 ? "" : concat(" (and ", more, " more; see tutti-topo lint)"));
}

HostNames::HostNames(const Cluster& cluster) {
  for (size_t i = 0; i < cluster.hosts.size(); ++i) {
    const std::string_view name = cluster.hosts[i].name;
    whole_.emplace(name, i);
    if (const size_t dot = name.find('.'); dot != std::string_view::npos) up_to_dot_[name.substr(0, dot)] = i;
  }
}

std::optional<size_t> HostNames::find(std::string_view name) const {
  const auto in = [](const auto& names, std::string_view one) -> std::optional<size_t> {
    const auto it = names.find(one);
    return it == names.end() ? std::nullopt : std::optional(it->second);
  };
  if (const std::optional<size_t> found = in(whole_, name)) return found;
  const size_t dot = name.find('.');
  return dot == std::string_view::npos ? in(up_to_dot_, name) : in(whole_, name.substr(0, dot));
}

std::string text_of(const Cluster& cluster) {
  std::string out;
  const auto add_rate = [&](const std::optional<double>& uplink_bps) {
    if (uplink_bps) out += " uplink=" + exact_text_of_rate(*uplink_bps);
  };
  const auto end_line = [&](const std::optional<double>& latency_s) {
    if (latency_s) out += " latency=" + exact_text_of_time(*latency_s);
    out += '\n';
  };
  for (const Cluster::Site& site : cluster.sites) {
    out += "site " + site.name;
    add_rate(site.uplink_bps);
    end_line(site.latency_s);
  }
  for (const Cluster::Rack& rack : cluster.racks) {
    out += "rack " + rack.name;
    if (rack.site >= 0) out += " site=" + cluster.sites[static_cast<size_t>(rack.site)].name;
    add_rate(rack.uplink_bps);
    end_line(rack.latency_s);
  }
  for (const Cluster::Host& host : cluster.hosts) {
    out += "host " + host.name;
    if (host.rack >= 0) out += " rack=" + cluster.racks[static_cast<size_t>(host.rack)].name;
    for (const Cluster::Nic& nic : host.nics) out.append(" nic=").append(nic.name).append(":").append(exact_text_of_rate(nic.bps));
    if (host.ranks != 1) out += " ranks=" + std::to_string(host.ranks);
    end_line(host.latency_s);
  }
  return out;
}

}  // namespace tutti

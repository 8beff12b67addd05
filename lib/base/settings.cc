// settings: see settings.h.
#include "lib/base/settings.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "lib/base/log.h"

extern char** environ;

namespace tutti {
namespace {

constexpr std::array<SettingRow, kSettings> kRows{{
    {Setting::Debug, "TUTTI_DEBUG", SettingKind::Text, "NONE", "log level on stderr: NONE, WARN, INFO or TRACE"},
    {Setting::ConfFile, "TUTTI_CONF_FILE", SettingKind::Text, "", "file of NAME=value lines, read where the environment is silent"},
    {Setting::CommId, "TUTTI_COMM_ID", SettingKind::Text, "", "host:port[#secret] of rank 0's rendezvous; tuttiGetUniqueId then needs no exchange"},
    {Setting::SocketIfname, "TUTTI_SOCKET_IFNAME", SettingKind::Text, "", "interfaces of the rendezvous: prefixes by comma, =name exact, ^prefix excluded"},
    {Setting::NetIfname, "TUTTI_NET_IFNAME", SettingKind::Text, "", "network interfaces that carry messages between hosts, written alike; empty: all good ones"},
    {Setting::Ports, "TUTTI_PORTS", SettingKind::Text, "", "first-last: the TCP ports that Tutti and UCX listen at, so that a firewall can know them; empty: any"},
    {Setting::InitTimeout, "TUTTI_INIT_TIMEOUT", SettingKind::Seconds, "120", "seconds until all ranks must have joined a communicator"},
    {Setting::Timeout, "TUTTI_TIMEOUT", SettingKind::Seconds, "600", "seconds without progress until an operation is an error"},
    {Setting::Transports, "TUTTI_TRANSPORTS", SettingKind::Text, "", "transports allowed, by comma, cheapest first; empty: all that are found"},
    {Setting::Algo, "TUTTI_ALGO", SettingKind::Text, "", "algorithm to use: NAME for all collectives, or collective:NAME by comma"},
    {Setting::Tile, "TUTTI_TILE", SettingKind::Bytes, "128K", "payload of one message of a pipelined operation"},
    {Setting::TilesInFlight, "TUTTI_TILES_IN_FLIGHT", SettingKind::Count, "3", "tiles of one operation under way at once, 1..16"},
    {Setting::Cache, "TUTTI_CACHE", SettingKind::Bytes, "0", "size of the last cache, which longer results are written past; 0: as found, at most 16M for each processor that shares it"},
    {Setting::SpinUs, "TUTTI_SPIN_US", SettingKind::Count, "200", "microseconds a waiting rank polls before it sleeps"},
    {Setting::Topo, "TUTTI_TOPO", SettingKind::Text, "", "where ranks sit, instead of what is found: host:2 core:3+1 (for trials; the number of ranks must fit)"},
    {Setting::TopoFile, "TUTTI_TOPO_FILE", SettingKind::Text, "", "file of sites, racks, hosts and their links (tutti-topo lint checks it); hosts are found by name"},
    {Setting::Fault, "TUTTI_FAULT", SettingKind::Text, "", "for tests: seed=N,delay=P,reorder=P,press=P,break=N (P in percent)"},
}};

constexpr double kMostSeconds = 1e9;  // thirty years; nanoseconds of it fit 64 bits
constexpr double kMostBytes = 1e18;   // fits 64 bits
constexpr double kLeastTile = 4096, kMostTile = 64 << 20;  // as transport.h has it

// Set by tutti-run for the programs it starts; not settings of the library.
constexpr const char* kLauncherNames[] = {"TUTTI_RANK", "TUTTI_NRANKS", "TUTTI_LOCAL_RANK"};

// Levenshtein distance, for "did you mean".
size_t distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// A # opens a comment at the line's start or after a blank; elsewhere it belongs to the value (host:port#secret).
std::string without_comment(const std::string& line) {
  for (size_t at = line.find('#'); at != std::string::npos; at = line.find('#', at + 1))
    if (at == 0 || line[at - 1] == ' ' || line[at - 1] == '\t') return trimmed(line.substr(0, at));
  return trimmed(line);
}

const SettingRow* find_row(const std::string& name) {
  for (const SettingRow& row : kRows)
    if (name == row.name) return &row;
  return nullptr;
}

std::string nearest_name(const std::string& name) {
  const auto nearest = std::min_element(kRows.begin(), kRows.end(), [&](const SettingRow& a, const SettingRow& b) {
    return distance(name, a.name) < distance(name, b.name);
  });
  return nearest->name;
}

}  // namespace

const std::array<SettingRow, kSettings>& setting_rows() { return kRows; }

Result<uint64_t> parse_bytes(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  const std::string_view rest = std::string_view(text).substr(static_cast<size_t>(end - text.c_str()));
  if (end == text.c_str() || !(value >= 0)) return fail(Code::InvalidArgument, "'", text, "' is not a size");
  double unit = 1;
  if (!rest.empty()) {
    switch (rest[0]) {
      case 'k': case 'K': unit = 1024; break;
      case 'm': case 'M': unit = 1024.0 * 1024; break;
      case 'g': case 'G': unit = 1024.0 * 1024 * 1024; break;
      default: return fail(Code::InvalidArgument, "'", text, "' is not a size: write bytes, or a number with K, M or G");
    }
    const std::string_view suffix = rest.substr(1);
    if (!suffix.empty() && suffix != "B" && suffix != "iB" && suffix != "b")
      return fail(Code::InvalidArgument, "'", text, "' is not a size: write bytes, or a number with K, M or G");
  }
  if (value * unit > kMostBytes) return fail(Code::InvalidArgument, "'", text, "' is not a size: more than ", kMostBytes, " bytes");
  return static_cast<uint64_t>(value * unit);
}

Status Settings::set(const SettingRow& row, std::string text, std::string origin) {
  Value& value = values_[static_cast<size_t>(row.setting)];
  if (row.kind == SettingKind::Bytes) {
    Result<uint64_t> bytes = parse_bytes(text);
    if (!bytes.ok()) return fail(Code::InvalidArgument, row.name, "=", text, " (", origin, "): ", bytes.status().text());
    value.number = static_cast<double>(bytes.value());
    if (row.setting == Setting::Tile && (value.number < kLeastTile || value.number > kMostTile))
      return fail(Code::InvalidArgument, row.name, "=", text, " (", origin, "): must be 4K to 64M");
  } else if (row.kind != SettingKind::Text) {
    char* end = nullptr;
    value.number = std::strtod(text.c_str(), &end);
    const bool seconds = row.kind == SettingKind::Seconds;
    if (text.empty() || *end != '\0' || !(value.number >= 0) || value.number > kMostSeconds || (seconds && value.number == 0))
      return fail(Code::InvalidArgument, row.name, "=", text, " (", origin, "): not a ",
                  seconds ? "positive number of seconds" : "number", " up to ", kMostSeconds);
    if (row.setting == Setting::TilesInFlight && (value.number < 1 || value.number > 16))
      return fail(Code::InvalidArgument, row.name, "=", text, " (", origin, "): must be 1 to 16");
  }
  if (row.setting == Setting::Ports) {
    const Result<Ports> ports = parse_ports(text);
    if (!ports.ok()) return fail(Code::InvalidArgument, row.name, "=", text, " (", origin, "): ", ports.status().text());
    ports_ = ports.value();
  }
  value.text = std::move(text);
  value.origin = std::move(origin);
  return {};
}

Status Settings::read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(Code::InvalidArgument, "TUTTI_CONF_FILE=", path, ": cannot be read");
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    line = without_comment(line);
    if (line.empty()) continue;
    const std::string origin = concat(path, ":", number);
    const size_t equals = line.find('=');
    if (equals == std::string::npos) return fail(Code::InvalidArgument, origin, ": expected NAME=value, found '", line, "'");
    const std::string name = trimmed(line.substr(0, equals));
    const SettingRow* row = find_row(name);
    if (!row) return fail(Code::InvalidArgument, origin, ": unknown setting ", name, "; nearest: ", nearest_name(name));
    TUTTI_TRY(set(*row, trimmed(line.substr(equals + 1)), origin));
  }
  return {};
}

// Once per process: a communicator more must not repeat it. Also when logging is off: a misspelled setting is silent otherwise.
void Settings::warn_unknown() const {
  static const bool warned = [] {
    for (char** entry = environ; entry && *entry; ++entry) {
      if (std::strncmp(*entry, "TUTTI_", 6) != 0) continue;
      const std::string name(*entry, std::strcspn(*entry, "="));
      const bool launchers = std::find(std::begin(kLauncherNames), std::end(kLauncherNames), name) != std::end(kLauncherNames);
      if (!launchers && !find_row(name))
        log_line(LogLevel::Warn, -1, concat("unknown setting ", name, " is ignored; nearest: ", nearest_name(name)));
    }
    return true;
  }();
  (void)warned;
}

Result<Settings> Settings::load() {
  Settings settings;
  for (const SettingRow& row : kRows) TUTTI_TRY(settings.set(row, row.fallback, "default"));
  if (const char* path = std::getenv("TUTTI_CONF_FILE"); path && *path) TUTTI_TRY(settings.read_file(path));
  for (const SettingRow& row : kRows)
    if (const char* text = std::getenv(row.name)) TUTTI_TRY(settings.set(row, text, "environment"));

  static const char* const levels[] = {"NONE", "WARN", "INFO", "TRACE"};
  const std::string& debug = settings.text(Setting::Debug);
  const auto level = std::find(std::begin(levels), std::end(levels), debug);
  if (level == std::end(levels)) return fail(Code::InvalidArgument, "TUTTI_DEBUG=", debug, ": not NONE, WARN, INFO or TRACE");
  set_log_level(static_cast<LogLevel>(level - std::begin(levels)));
  settings.warn_unknown();
  return settings;
}

}  // namespace tutti

// settings: see settings.h.
#include "lib/base/settings.h"

#include <algorithm>
#include <cassert>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>

#include "lib/base/log.h"

extern char** environ;

namespace tutti {
namespace {

constexpr std::array<SettingRow, kSettings> kRows{{
    {Setting::Debug, "TUTTI_DEBUG", SettingKind::Level, "NONE", "log level on stderr: NONE, WARN, INFO or TRACE"},
    {Setting::ConfFile, "TUTTI_CONF_FILE", SettingKind::Text, "", "file of NAME=value lines, for settings that the environment does not have"},
    {Setting::CommId, "TUTTI_COMM_ID", SettingKind::Text, "", "host:port[#secret] of rank 0's rendezvous; GetUniqueId then needs no exchange"},
    {Setting::SocketIfname, "TUTTI_SOCKET_IFNAME", SettingKind::List, "", "interfaces of the rendezvous: prefixes separated by commas; =name: exactly this one; ^prefix: all but these"},
    {Setting::NetIfname, "TUTTI_NET_IFNAME", SettingKind::List, "", "network interfaces that carry messages between hosts, written like TUTTI_SOCKET_IFNAME; empty: all suitable ones"},
    {Setting::Ports, "TUTTI_PORTS", SettingKind::Text, "", "first-last: the TCP ports at which Tutti listens, for a firewall; empty: any"},
    {Setting::InitTimeout, "TUTTI_INIT_TIMEOUT", SettingKind::Seconds, "120", "seconds until all ranks must have joined a communicator"},
    {Setting::Timeout, "TUTTI_TIMEOUT", SettingKind::Seconds, "600", "seconds without progress until an operation is an error"},
    {Setting::Transports, "TUTTI_TRANSPORTS", SettingKind::Words, "", "transports that may be used, separated by commas; empty: all that are found"},
    {Setting::Algo, "TUTTI_ALGO", SettingKind::Words, "", "algorithm to use: NAME for all collectives, or collective:NAME separated by commas"},
    {Setting::Tile, "TUTTI_TILE", SettingKind::Bytes, "128K", "payload of one message of a pipelined operation"},
    {Setting::TilesInFlight, "TUTTI_TILES_IN_FLIGHT", SettingKind::Count, "3", "tiles of one operation under way at once, 1..16"},
    {Setting::Cache, "TUTTI_CACHE", SettingKind::Bytes, "0", "size of the last-level cache; longer results are written past the caches; 0: as found, at most 16M for each processor that shares it"},
    {Setting::SpinUs, "TUTTI_SPIN_US", SettingKind::Count, "200", "microseconds a waiting rank polls before it sleeps"},
    {Setting::Topo, "TUTTI_TOPO", SettingKind::Text, "", "where ranks sit, instead of what is found: host:2 core:3+1 (for trials; must describe as many ranks as the communicator has)"},
    {Setting::TopoFile, "TUTTI_TOPO_FILE", SettingKind::Text, "", "file that describes sites, racks, hosts and their links (tutti-topo lint checks it); it names hosts by their host names"},
    {Setting::ShmWrite, "TUTTI_SHM_WRITE", SettingKind::Words, "auto", "how shared memory is written: ahead, strings, streamed, or auto, by measurement for each peer"},
    {Setting::Trace, "TUTTI_TRACE", SettingKind::Text, "", "folder in which every rank writes a trace of its calls (tutti-trace merges them)"},
    {Setting::FlightRecorder, "TUTTI_FLIGHT_RECORDER", SettingKind::Text, "", "folder in which every rank writes its last calls when a communicator fails; empty: that of TUTTI_TRACE"},
    {Setting::Fault, "TUTTI_FAULT", SettingKind::Words, "", "for tests: seed=N,delay=P,reorder=P,press=P,break=N (P in percent)"},
}};

constexpr size_t kMostFileBytes = 64 << 10, kMostMistakes = 20;
constexpr double kMostBytes = 1e18;  // fits in 64 bits
constexpr std::array<const char*, 4> kLevels{"NONE", "WARN", "INFO", "TRACE"};  // by LogLevel

constexpr bool in_order() {
  for (size_t i = 0; i < kRows.size(); ++i)
    if (kRows[i].setting != static_cast<Setting>(i)) return false;
  return true;
}
static_assert(in_order());  // a row's place is its setting's number

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

constexpr const char* kBlank = " \t\r\n\v\f";

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// " ^ docker , lo," -> "^docker,lo": without blanks and empty items.
std::string tidy_list(const std::string& text) {
  std::string list;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    std::string item;
    for (size_t from = begin; from <= end;) {
      const size_t sign = std::min(text.find_first_of("^=:", from), end);
      item += trimmed(text.substr(from, sign - from));
      if (sign < end) item += text[sign];
      from = sign + 1;
    }
    if (!item.empty()) list += (list.empty() ? "" : ",") + item;
    begin = end + 1;
  }
  return list;
}

// A # opens a comment at the line's start or after a blank; elsewhere it belongs to the value (host:port#secret).
std::string without_comment(const std::string& line) {
  for (size_t at = line.find('#'); at != std::string::npos; at = line.find('#', at + 1))
    if (at == 0 || line[at - 1] == ' ' || line[at - 1] == '\t') return trimmed(line.substr(0, at));
  return trimmed(line);
}

const SettingRow& row_of(Setting setting) { return kRows[static_cast<size_t>(setting)]; }

const SettingRow* find_row(const std::string& name) {
  for (const SettingRow& row : kRows)
    if (name == row.name) return &row;
  return nullptr;
}

std::string nearest_name(const std::string& any) {
  const std::string name = any.substr(0, 64);
  const auto nearest = std::min_element(kRows.begin(), kRows.end(), [&](const SettingRow& a, const SettingRow& b) {
    return distance(name, a.name) < distance(name, b.name);
  });
  return nearest->name;
}

}  // namespace

const std::array<SettingRow, kSettings>& setting_rows() { return kRows; }

Result<uint64_t> parse_bytes(const std::string& text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [read, error] = std::from_chars(text.data(), end, value);  // does not depend on the program's locale
  const std::string_view rest(read, static_cast<size_t>(end - read));
  if (error != std::errc() || !(value >= 0)) return fail(Code::InvalidArgument, "'", text, "' is not a size");
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

std::string hide_secret(const std::string& text) {
  const size_t hash = text.find('#');
  return hash == std::string::npos ? text : text.substr(0, hash) + "#(hidden)";
}

namespace {

// A user may give an id with its secret to any setting, by mistake. So all are hidden but file names, where a # is an ordinary character.
std::string shown_text(Setting setting, const std::string& text) {
  const bool path = setting == Setting::ConfFile || setting == Setting::TopoFile || setting == Setting::Trace || setting == Setting::FlightRecorder;
  return path ? text : hide_secret(text);
}

Status refuse(const SettingRow& row, const std::string& written, const std::string& origin, const std::string& why) {
  return fail(Code::InvalidArgument, row.name, "='", shown_text(row.setting, written), "' (", origin, "): ", why);
}

struct Range {
  double least, most;
  const char* text;  // what a value must be
};
Range range_of(const SettingRow& row) {
  if (row.setting == Setting::Tile) return {4096, 64 << 20, "must be 4K to 64M"};
  if (row.setting == Setting::TilesInFlight) return {1, 16, "must be a whole number from 1 to 16"};
  // 1e9 s are thirty years. That many nanoseconds fit in 64 bits.
  if (row.kind == SettingKind::Seconds) return {1e-9, 1e9, "must be a number of seconds above 0, at most 1e9"};
  if (row.kind == SettingKind::Count) return {0, 1e9, "must be a whole number from 0 to 1e9"};
  return {0, kMostBytes, "must be a size of at most 1e18 bytes: a number, or one with K, M or G"};
}

// Does not depend on the program's locale.
std::optional<double> number_of(const std::string& text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [read, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || read != end || !std::isfinite(value)) return {};
  return value;
}

Status read_number(const SettingRow& row, const std::string& text, double& number) {
  const Range range = range_of(row);
  double value = 0;
  if (row.kind == SettingKind::Bytes) {
    const Result<uint64_t> bytes = parse_bytes(text);
    value = bytes.ok() ? static_cast<double>(bytes.value()) : -1;
  } else {
    value = number_of(text).value_or(-1);
    if (row.kind == SettingKind::Count && value != std::floor(value)) value = -1;
  }
  if (value < range.least || value > range.most) return fail(Code::InvalidArgument, range.text);
  number = value;
  return {};
}

// Changes the text to the library's spelling.
Status read_text(const SettingRow& row, std::string& text) {
  if (row.kind == SettingKind::List || row.kind == SettingKind::Words) text = tidy_list(text);
  if (row.kind == SettingKind::Words) text = lower(text);
  if (row.kind == SettingKind::Level) {
    const auto level = std::find_if(kLevels.begin(), kLevels.end(), [&](const char* name) { return lower(name) == lower(text); });
    if (level == kLevels.end()) return fail(Code::InvalidArgument, "must be NONE, WARN, INFO or TRACE");
    text = *level;
  }
  return row.setting == Setting::Ports ? parse_ports(text).status() : Status();
}

// Warns once per process, not for every communicator. Warns even if logging is off: nothing else shows that a name is misspelled.
void warn_unknown() {
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

}  // namespace

Settings::Settings() {
  std::vector<Mistake> none;
  for (const SettingRow& row : kRows) set(row, row.fallback, "default", none);
  assert(none.empty());
}

// An empty value sets nothing. Only a default may be empty.
void Settings::set(const SettingRow& row, const std::string& written, const std::string& origin, std::vector<Mistake>& mistakes) {
  std::string text = trimmed(written);
  Value value{text, origin, text, values_[static_cast<size_t>(row.setting)].number};
  if (!text.empty()) {
    Status status = read_text(row, value.text);
    if (status.ok() && row.kind >= SettingKind::Seconds) status = read_number(row, text, value.number);
    if (!status.ok()) mistakes.push_back({row.setting, refuse(row, text, origin, status.text())});
  }
  if (!value.text.empty() || origin == "default") values_[static_cast<size_t>(row.setting)] = std::move(value);
}

void Settings::read_file(std::vector<Mistake>& mistakes) {
  const std::string& path = text(Setting::ConfFile);
  const auto wrong = [&](const auto&... words) { mistakes.push_back({Setting::ConfFile, fail(Code::InvalidArgument, words...)}); };
  errno = 0;
  std::ifstream file(path);
  std::string bytes(kMostFileBytes + 1, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  Status whole;
  if (file.bad() || !file.is_open())
    whole = system_failure(errno, "cannot be read");
  else if (static_cast<size_t>(file.gcount()) > kMostFileBytes)
    whole = fail(Code::InvalidArgument, "is longer than ", kMostFileBytes, " bytes, so it is not a file of settings");
  if (!whole.ok()) {
    mistakes.push_back({Setting::ConfFile, about(Setting::ConfFile, whole)});
    return;
  }
  bytes.resize(static_cast<size_t>(file.gcount()));
  std::istringstream lines(bytes);
  std::string line;
  for (int number = 1; std::getline(lines, line) && mistakes.size() < kMostMistakes; ++number) {
    line = without_comment(line);
    if (line.empty()) continue;
    const std::string origin = concat(path, ":", number);
    const size_t equals = line.find('=');
    const std::string name = trimmed(line.substr(0, equals));
    const SettingRow* row = find_row(name);
    if (equals == std::string::npos)
      wrong(origin, ": must be NAME=value, is '", hide_secret(line), "'");
    else if (!row)
      wrong(origin, ": there is no setting '", hide_secret(name), "'; nearest: ", nearest_name(name));
    else if (row->setting == Setting::ConfFile)
      wrong(origin, ": ", name, " can be set in the environment only");
    else
      set(*row, line.substr(equals + 1), origin, mistakes);
  }
}

Settings Settings::load(std::vector<Mistake>& mistakes) {
  Settings settings;
  const auto hear = [&](const SettingRow& row) {
    if (const char* text = std::getenv(row.name)) settings.set(row, text, "environment", mistakes);
  };
  hear(row_of(Setting::ConfFile));
  if (!settings.text(Setting::ConfFile).empty()) settings.read_file(mistakes);
  for (const SettingRow& row : kRows)
    if (row.setting != Setting::ConfFile) hear(row);

  const std::string& debug = settings.text(Setting::Debug);
  const auto level = std::find(kLevels.begin(), kLevels.end(), debug);
  if (level != kLevels.end()) set_log_level(static_cast<LogLevel>(level - kLevels.begin()));
  warn_unknown();
  return settings;
}

Result<Settings> Settings::load() {
  std::vector<Mistake> mistakes;
  Settings settings = load(mistakes);
  if (!mistakes.empty()) return mistakes.front().status;
  return settings;
}

Settings Settings::alone(Setting setting) const {
  Settings one;
  one.values_[static_cast<size_t>(setting)] = values_[static_cast<size_t>(setting)];
  return one;
}

Ports Settings::ports() const {
  const Result<Ports> ports = parse_ports(text(Setting::Ports));
  return ports.ok() ? ports.value() : Ports();
}

std::string Settings::shown(Setting setting) const { return shown_text(setting, text(setting)); }

Status Settings::about(Setting setting, const Status& status) const {
  if (status.ok()) return {};
  const Value& value = values_[static_cast<size_t>(setting)];
  return refuse(row_of(setting), value.written, value.origin, status.text());
}

}  // namespace tutti

// settings: the one table of TUTTI_* names, with what they mean, their value and where it came from.
//
// A value comes from the environment, else from the file named by TUTTI_CONF_FILE (lines NAME=value, # comments), else from
// the table's default. A snapshot is taken when a communicator is made; nothing reads the environment later. A value that
// cannot be read is an error that names it; a TUTTI_ name that the table does not know is one warning with the nearest name.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/ports.h"
#include "lib/base/status.h"

namespace tutti {

enum class Setting : uint8_t {
  Debug, ConfFile, CommId, SocketIfname, NetIfname, Ports, InitTimeout, Timeout, Transports, Algo, Tile, TilesInFlight, Cache, SpinUs,
  Topo, TopoFile, Fault,
};
inline constexpr int kSettings = 17;

enum class SettingKind : uint8_t { Text, Seconds, Bytes, Count };

struct SettingRow {
  Setting setting;
  const char* name;
  SettingKind kind;
  const char* fallback;  // the default, as a person would write it
  const char* help;      // one line
};
const std::array<SettingRow, kSettings>& setting_rows();

class Settings {
 public:
  static Result<Settings> load();

  const std::string& text(Setting setting) const { return values_[static_cast<size_t>(setting)].text; }
  double seconds(Setting setting) const { return values_[static_cast<size_t>(setting)].number; }
  uint64_t number(Setting setting) const { return static_cast<uint64_t>(values_[static_cast<size_t>(setting)].number); }
  Ports ports() const { return ports_; }
  // "environment", "FILE:line" or "default".
  const std::string& origin(Setting setting) const { return values_[static_cast<size_t>(setting)].origin; }

 private:
  struct Value {
    std::string text, origin;
    double number = 0;
  };
  Status set(const SettingRow& row, std::string text, std::string origin);
  Status read_file(const std::string& path);
  void warn_unknown() const;

  std::array<Value, kSettings> values_;
  Ports ports_;
};

// "4K", "1M", "2G", "123": bytes, powers of 1024. Shared with the tools.
Result<uint64_t> parse_bytes(const std::string& text);

}  // namespace tutti

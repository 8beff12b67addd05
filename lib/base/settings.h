// settings: the one table of TUTTI_* names, with what they mean, their value and where it came from.
//
// A value comes from the environment, else from the file named by TUTTI_CONF_FILE (lines NAME=value, # comments), else from
// the table's default. Blanks around a value are cut off. If a value is empty, the next source is asked. A snapshot is
// taken when a communicator is made; nothing reads the environment later. A wrong value is an error that names the setting, the value,
// its source, and what is allowed. A TUTTI_ name that is not in the table is one warning with the nearest name.
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
  Topo, TopoFile, ShmWrite, Trace, FlightRecorder, Fault,
};
inline constexpr int kSettings = 20;

// List: items separated by commas. Words: a List in which upper and lower case are the same. Level: a log level, in any case.
enum class SettingKind : uint8_t { Text, List, Words, Level, Seconds, Bytes, Count };

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
  struct Mistake {
    Setting setting;  // ConfFile, if a line of that file is not a setting
    Status status;
  };

  static Result<Settings> load();
  // The same, but goes on after a mistake, to show all of them. A wrong value keeps its text and has the number it had before.
  static Settings load(std::vector<Mistake>& mistakes);
  // A copy with this one setting; all others have their defaults.
  Settings alone(Setting setting) const;

  // The value as the library uses it: without blanks, and with words in the library's spelling.
  const std::string& text(Setting setting) const { return values_[static_cast<size_t>(setting)].text; }
  double seconds(Setting setting) const { return values_[static_cast<size_t>(setting)].number; }
  uint64_t number(Setting setting) const { return static_cast<uint64_t>(values_[static_cast<size_t>(setting)].number); }
  Ports ports() const;
  // "environment", "FILE:line" or "default".
  const std::string& origin(Setting setting) const { return values_[static_cast<size_t>(setting)].origin; }
  // text() with secrets hidden.
  std::string shown(Setting setting) const;
  // Turns a failure into InvalidArgument whose text names the setting, its value and its source. Success stays success.
  Status about(Setting setting, const Status& status) const;

 private:
  struct Value {
    std::string text, origin, written;
    double number = 0;
  };
  Settings();  // the defaults
  void set(const SettingRow& row, const std::string& written, const std::string& origin, std::vector<Mistake>& mistakes);
  void read_file(std::vector<Mistake>& mistakes);

  std::array<Value, kSettings> values_;
};

// Hides what follows the first #, which may be the secret of a TUTTI_COMM_ID: "host:port#(hidden)".
std::string hide_secret(const std::string& text);

// "4K", "1M", "2G", "123": bytes, powers of 1024. Shared with the tools.
Result<uint64_t> parse_bytes(const std::string& text);

}  // namespace tutti

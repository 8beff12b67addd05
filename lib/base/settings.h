// settings: the one table of TUTTI_* names, with what they mean, their value and where it came from.
//
// A value comes from the environment, else from the file named by TUTTI_CONF_FILE (lines NAME=value, # comments), else from
// the table's default. Blanks around a value do not count, and an empty value is none: the next source is asked. A snapshot is
// taken when a communicator is made; nothing reads the environment later. A value that cannot be read is an error that names
// the setting, the value, its source and what it may be; a TUTTI_ name that the table does not know is one warning with the nearest name.
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

// List: items by comma. Words: the same, in any case. Level: of the log, in any case.
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
    Setting setting;  // of a file's line that is no setting: ConfFile
    Status status;
  };

  static Result<Settings> load();
  // The same, for who wants to see all of it: what cannot be read keeps its text, has the default's number, and is in `mistakes`.
  static Settings load(std::vector<Mistake>& mistakes);
  // This one setting, and the defaults of all others.
  Settings alone(Setting setting) const;

  // As it is used: without blanks, words in the case in which they are known.
  const std::string& text(Setting setting) const { return values_[static_cast<size_t>(setting)].text; }
  double seconds(Setting setting) const { return values_[static_cast<size_t>(setting)].number; }
  uint64_t number(Setting setting) const { return static_cast<uint64_t>(values_[static_cast<size_t>(setting)].number); }
  Ports ports() const;
  // "environment", "FILE:line" or "default".
  const std::string& origin(Setting setting) const { return values_[static_cast<size_t>(setting)].origin; }
  // text(), without what nobody may see.
  std::string shown(Setting setting) const;
  // What is wrong with a setting, as InvalidArgument with its name, its value and the value's source; success stays success.
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

// A text that may hold a TUTTI_COMM_ID, with its secret hidden: "host:port#(hidden)".
std::string hide_secret(const std::string& text);

// "4K", "1M", "2G", "123": bytes, powers of 1024. Shared with the tools.
Result<uint64_t> parse_bytes(const std::string& text);

}  // namespace tutti

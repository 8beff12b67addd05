// settings: what counts as a value, where it comes from, and what is said of one that cannot be.
#include "lib/base/settings.h"

#include <cstdlib>
#include <map>

#include "lib/base/interface.h"
#include "tests/catch.h"
#include "tests/harness/temporary.h"

using namespace tutti;

namespace {

// Settings of the environment, and of a file if that has a text, for the time of a scope.
class Sources {
 public:
  Sources(const std::map<std::string, std::string>& environment, const std::string& file) : environment_(environment) {
    if (!file.empty()) {
      file_.write(file);
      environment_["TUTTI_CONF_FILE"] = file_.path();
    }
    for (const auto& [name, value] : environment_) setenv(name.c_str(), value.c_str(), 1);
  }
  ~Sources() {
    for (const auto& [name, value] : environment_) unsetenv(name.c_str());
  }
  Sources(const Sources&) = delete;
  Sources& operator=(const Sources&) = delete;
  std::string path() const { return file_.path(); }

 private:
  std::map<std::string, std::string> environment_;
  test::TemporaryFile file_;
};

Settings loaded() {
  Result<Settings> settings = Settings::load();
  INFO(settings.status().text());
  REQUIRE(settings.ok());
  return settings.value();
}

// How the only source's value is used.
std::string used(const char* name, Setting setting, const std::string& value) {
  const Sources sources({{name, value}}, "");
  return loaded().text(setting);
}

std::string refusal() {
  const Result<Settings> settings = Settings::load();
  REQUIRE_FALSE(settings.ok());
  CHECK(settings.status().code() == Code::InvalidArgument);
  return settings.status().text();
}

}  // namespace

TEST_CASE("blanks around a value do not count", "[settings]") {
  for (const char* blanks : {" ", "\t", "\n", " \t\r\n"}) {
    const Sources sources({{"TUTTI_TIMEOUT", blanks + std::string("7.5") + blanks},
                           {"TUTTI_TILE", std::string("64K") + blanks},
                           {"TUTTI_SPIN_US", blanks + std::string("3")},
                           {"TUTTI_TOPO", blanks + std::string("host:2 core:3+1") + blanks}},
                          std::string("TUTTI_INIT_TIMEOUT =") + " 5 \n\tTUTTI_TOPO_FILE\t=\t/a b \r\n");
    const Settings settings = loaded();
    CHECK(settings.seconds(Setting::Timeout) == 7.5);
    CHECK(settings.number(Setting::Tile) == 65536);
    CHECK(settings.number(Setting::SpinUs) == 3);
    CHECK(settings.text(Setting::Topo) == "host:2 core:3+1");
    CHECK(settings.seconds(Setting::InitTimeout) == 5);
    CHECK(settings.text(Setting::TopoFile) == "/a b");
  }
}

TEST_CASE("an empty value counts as not set: the file's value is used, or the default", "[settings]") {
  const Settings defaults = loaded();
  for (const SettingRow& row : setting_rows())
    for (const char* empty : {"", " ", "\t\n"}) {
      INFO(row.name << "='" << empty << "'");
      const Sources sources({{row.name, empty}}, "");
      const Settings settings = loaded();
      CHECK(settings.text(row.setting) == defaults.text(row.setting));
      CHECK(settings.number(row.setting) == defaults.number(row.setting));
      CHECK(settings.origin(row.setting) == "default");
    }
  const Sources sources({{"TUTTI_TIMEOUT", " "}}, "TUTTI_TIMEOUT=9\nTUTTI_TIMEOUT=\nTUTTI_TILE =\n");
  const Settings settings = loaded();
  CHECK(settings.seconds(Setting::Timeout) == 9);
  CHECK(settings.origin(Setting::Timeout) == sources.path() + ":1");
  CHECK(settings.origin(Setting::Tile) == "default");
}

TEST_CASE("words are known in any case", "[settings]") {
  CHECK(used("TUTTI_DEBUG", Setting::Debug, "warn") == "WARN");
  CHECK(used("TUTTI_DEBUG", Setting::Debug, " None ") == "NONE");
  CHECK(used("TUTTI_TRANSPORTS", Setting::Transports, "SHM") == "shm");
  CHECK(used("TUTTI_ALGO", Setting::Algo, "AllReduce:Ring") == "allreduce:ring");
  CHECK(used("TUTTI_NET_IFNAME", Setting::NetIfname, "Eth") == "Eth");  // names of interfaces differ by case
}

TEST_CASE("lists may have blanks around their items, and empty items", "[settings]") {
  CHECK(used("TUTTI_SOCKET_IFNAME", Setting::SocketIfname, " lo , eth0\t") == "lo,eth0");
  CHECK(used("TUTTI_NET_IFNAME", Setting::NetIfname, "^ docker, lo,") == "^docker,lo");
  CHECK(used("TUTTI_NET_IFNAME", Setting::NetIfname, "= eth0 ,,eth2") == "=eth0,eth2");
  CHECK(used("TUTTI_NET_IFNAME", Setting::NetIfname, " , ").empty());
  CHECK(used("TUTTI_TRANSPORTS", Setting::Transports, "shm , ucx") == "shm,ucx");
  CHECK(used("TUTTI_ALGO", Setting::Algo, "allreduce : ring , broadcast: tree") == "allreduce:ring,broadcast:tree");
  CHECK(used("TUTTI_FAULT", Setting::Fault, "seed = 1, delay=2") == "seed=1,delay=2");
  CHECK(admitted("eth0", used("TUTTI_NET_IFNAME", Setting::NetIfname, "lo, eth0")));
}

TEST_CASE("an error names the setting, its value, the source and what it may be", "[settings]") {
  const auto refused = [](const char* name, const std::string& value, const std::string& rest) {
    const Sources sources({{name, value}}, "");
    CHECK(refusal() == std::string(name) + "='" + value + "' (environment): " + rest);
  };
  refused("TUTTI_TIMEOUT", "soon", "must be a number of seconds above 0, at most 1e9");
  refused("TUTTI_TIMEOUT", "0", "must be a number of seconds above 0, at most 1e9");
  refused("TUTTI_SPIN_US", "2.5", "must be a whole number from 0 to 1e9");
  refused("TUTTI_TILES_IN_FLIGHT", "17", "must be a whole number from 1 to 16");
  refused("TUTTI_TILE", "1K", "must be 4K to 64M");
  refused("TUTTI_TILE", "much", "must be 4K to 64M");
  refused("TUTTI_CACHE", "much", "must be a size of at most 1e18 bytes: a number, or one with K, M or G");
  refused("TUTTI_DEBUG", "LOUD", "must be NONE, WARN, INFO or TRACE");
  const Sources sources({}, "\n TUTTI_TIMEOUT = soon # not yet\n");
  CHECK(refusal() == "TUTTI_TIMEOUT='soon' (" + sources.path() + ":2): must be a number of seconds above 0, at most 1e9");
}

TEST_CASE("a file's mistakes are told, all of them to who asks", "[settings]") {
  const Sources sources({{"TUTTI_TILE", "big"}},
                        "TUTTI_TIMEOUTS=3\nTUTTI_SPIN_US 3\nTUTTI_CONF_FILE=/x\nTUTTI_TIMEOUT=soon\nTUTTI_INIT_TIMEOUT=8\n");
  std::vector<Settings::Mistake> mistakes;
  const Settings settings = Settings::load(mistakes);
  const std::string at = sources.path();
  std::vector<std::string> told;
  for (const Settings::Mistake& mistake : mistakes) told.push_back(mistake.status.text());
  REQUIRE(told.size() == 5);
  CHECK(told[0] == at + ":1: there is no setting 'TUTTI_TIMEOUTS'; nearest: TUTTI_TIMEOUT");
  CHECK(told[1] == at + ":2: must be NAME=value, is 'TUTTI_SPIN_US 3'");
  CHECK(told[2] == at + ":3: TUTTI_CONF_FILE can be set in the environment only");
  CHECK(told[3].find("TUTTI_TIMEOUT='soon' (" + at + ":4): ") == 0);
  CHECK(told[4].find("TUTTI_TILE='big' (environment): ") == 0);
  CHECK(mistakes[3].setting == Setting::Timeout);
  CHECK(settings.text(Setting::Timeout) == "soon");  // to be shown
  CHECK(settings.seconds(Setting::Timeout) == 600);
  CHECK(settings.seconds(Setting::InitTimeout) == 8);
  CHECK(refusal() == told[0]);
}

TEST_CASE("a file of settings that cannot be read says why", "[settings]") {
  for (const auto& [path, why] : {std::pair("/nowhere/conf", "cannot be read: No such file or directory"),
                                  std::pair("/tmp", "cannot be read: Is a directory"),
                                  std::pair("/dev/zero", "is longer than 65536 bytes, so it is not a file of settings")}) {
    const Sources sources({{"TUTTI_CONF_FILE", path}}, "");
    CHECK(refusal() == concat("TUTTI_CONF_FILE='", path, "' (environment): ", why));
  }
}

TEST_CASE("no text shows a secret", "[settings]") {
  CHECK(hide_secret("host:1#secret") == "host:1#(hidden)");
  CHECK(hide_secret("host:1") == "host:1");
  for (const char* name : {"TUTTI_TIMEOUT", "TUTTI_TILE", "TUTTI_DEBUG"}) {
    const Sources misplaced({{name, "host:1#secret"}}, "");
    CHECK(refusal().find(concat(name, "='host:1#(hidden)' (environment): ")) == 0);
  }
  const Sources sources({{"TUTTI_COMM_ID", "host:1#secret"}},
                        "TUTTI_COMM_ID host:1#secret\nTUTTI_COM_ID host:1#secret=\nTUTTI_COMM_IDS=host:1#secret\n");
  std::vector<Settings::Mistake> mistakes;
  const Settings settings = Settings::load(mistakes);
  CHECK(mistakes.size() == 3);
  for (const Settings::Mistake& mistake : mistakes) CHECK(mistake.status.text().find("secret") == std::string::npos);
  CHECK(settings.shown(Setting::CommId) == "host:1#(hidden)");
  CHECK(settings.about(Setting::CommId, fail(Code::InvalidArgument, "why")).text() ==
        "TUTTI_COMM_ID='host:1#(hidden)' (environment): why");
}

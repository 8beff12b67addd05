// tutti-run: starts the ranks of a program on this host and watches them.
//
// Every rank gets TUTTI_RANK, TUTTI_NRANKS, TUTTI_LOCAL_RANK and TUTTI_COMM_ID. The id is a random name on this host and a random secret:
// tuttiGetUniqueId() needs neither an exchange nor a network interface. Every rank also gets RANK, WORLD_SIZE, LOCAL_RANK,
// LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT (a free port of the loopback interface, if there is one), which other programs use. The
// first rank that fails is named, and its exit code (128 + signal) becomes that of tutti-run. The other ranks have a second to report
// what they saw, then get SIGTERM, and SIGKILL after 2 s more. Nothing that a rank has started outlives it, unless it leaves the rank's
// process group.
//
// --print-id prints a TUTTI_COMM_ID for ranks that another launcher starts. tutti-cluster uses it.
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "lib/boot/address.h"
#include "lib/boot/boot.h"
#include "tools/failure.h"
#include "tools/launch/children.h"
#include "tools/launch/pinning.h"
#include "tools/launch/secret.h"
#include "tools/tool.h"

namespace {

constexpr const char* kProgram = "tutti-run";
constexpr int kNotFound = 127, kNotRunnable = 126;  // as a shell says it

struct Config {
  int ranks = 0;
  bool bind = false, tag_output = false;
  std::vector<std::string> command;
};

// A port that is free now at this address of this host.
tutti::Result<int> free_port(tutti::Address address) {
  address.port = 0;
  const tutti::Result<tutti::Descriptor> listener = tutti::listen_at(&address);
  if (!listener.ok()) return listener.status();
  return address.port;
}

// Sets MASTER_ADDR and MASTER_PORT, if this host has a loopback interface.
void set_master() {
  for (const std::string host : {"127.0.0.1", "::1"}) {
    const tutti::Result<tutti::Address> address = tutti::parse_address((host == "::1" ? "[::1]" : host) + ":1");
    const tutti::Result<int> port = address.ok() ? free_port(address.value()) : address.status();
    if (!port.ok()) continue;
    setenv("MASTER_ADDR", host.c_str(), 1);
    setenv("MASTER_PORT", std::to_string(port.value()).c_str(), 1);
    return;
  }
}

// --print-id. `where` is "HOST:PORT", "HOST", or "" for this host. Without a port it takes one that is free on this host, also for another
// host, whose free ports are not known here.
int print_id(const std::string& where) {
  const auto free_port_here = [](const tutti::Address& address) {
    const tutti::Result<int> port = free_port(address);
    if (!port.ok()) throw tutti::tool::Failure("no free port: " + port.status().text());
    return port.value();
  };
  std::string place = where;
  if (where.empty()) {
    const tutti::Result<tutti::Settings> settings = tutti::Settings::load();
    if (!settings.ok()) throw CLI::ValidationError("--print-id", settings.status().text());
    tutti::Result<tutti::Address> here = tutti::choose_interface(settings.value());
    if (!here.ok()) throw CLI::ValidationError("--print-id", here.status().text());
    here.value().port = static_cast<uint16_t>(free_port_here(here.value()));
    place = to_text(here.value());
  } else {
    const bool has_port = where.back() != ']' && where.find(':') != std::string::npos;
    tutti::Address any;
    any.family = 4;
    if (!has_port) place += ":" + std::to_string(free_port_here(any));
    const tutti::Result<tutti::Address> address = tutti::parse_address(place);
    if (!address.ok()) throw CLI::ValidationError("--print-id", "'" + where + "': " + address.status().text());
  }
  std::printf("TUTTI_COMM_ID=%s#%s\n", place.c_str(), tutti::tool::random_secret().c_str());
  return 0;
}

// Whether the command can be run at all, asked once instead of N times: 0, or the exit code, with a sentence on stderr.
int look_for(const std::string& command) {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(command.find('/') != std::string::npos ? "" : path ? path : "/usr/local/bin:/bin:/usr/bin");
  int code = kNotFound;
  const auto look = [&](const std::string& file) {
    struct stat status;
    if (code == 0 || stat(file.c_str(), &status) != 0) return;
    code = S_ISREG(status.st_mode) && access(file.c_str(), X_OK) == 0 ? 0 : kNotRunnable;
  };
  if (command.find('/') != std::string::npos) look(command);
  for (std::string folder; std::getline(folders, folder, ':');) look((folder.empty() ? "." : folder) + "/" + command);
  if (code != 0)
    std::fprintf(stderr, "%s: %s: %s\n", kProgram, command.c_str(),
                 code == kNotFound ? "command not found" : "not a program");
  return code;
}

// Becomes the command; returns only if that is not possible.
int run_rank(const Config& config, int rank, const std::vector<int>& cores) {
  const auto number = static_cast<size_t>(rank);
  if (config.bind && !cores.empty() && !tutti::tool::pin_to(cores[number % cores.size()]))
    std::fprintf(stderr, "%s: rank %d: cannot pin to core %d\n", kProgram, rank, cores[number % cores.size()]);
  const std::string text = std::to_string(rank);
  for (const char* const name : {"TUTTI_RANK", "TUTTI_LOCAL_RANK", "RANK", "LOCAL_RANK"}) setenv(name, text.c_str(), 1);
  // The ranks are no terminal's foreground: a read from it would stop them.
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing >= 0) dup2(nothing, STDIN_FILENO);

  std::vector<char*> arguments;
  for (const std::string& argument : config.command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments.front(), arguments.data());
  const int error = errno;
  std::fprintf(stderr, "%s: rank %d: %s: %s\n", kProgram, rank, arguments.front(), std::strerror(error));
  return error == ENOENT ? kNotFound : kNotRunnable;
}

int run(const Config& config) {
  if (const int code = look_for(config.command.front())) return code;
  const std::string ranks = std::to_string(config.ranks);
  for (const char* const name : {"TUTTI_NRANKS", "WORLD_SIZE", "LOCAL_WORLD_SIZE"}) setenv(name, ranks.c_str(), 1);
  setenv("TUTTI_COMM_ID", ("unix:" + tutti::tool::random_secret().substr(0, 16) + "#" + tutti::tool::random_secret()).c_str(), 1);
  set_master();
  const std::vector<int> cores = config.bind ? tutti::tool::usable_cores() : std::vector<int>{};
  tutti::tool::Children children(
      {.program = kProgram, .patience_s = 1, .own_groups = true, .tag_output = config.tag_output});
  for (int rank = 0; rank < config.ranks; ++rank) {
    if (children.start([&] { return run_rank(config, rank, cores); })) continue;
    std::fprintf(stderr, "%s: cannot start rank %d: %s\n", kProgram, rank, std::strerror(errno));
    return 1;
  }
  return children.supervise();
}

// The command line with "--np 2" in the place of mpirun's "-np 2", which CLI11 would read as "-n p2". Changes no word of the command.
std::vector<std::string> words_of(int argc, char** argv) {
  std::vector<std::string> words(argv, argv + argc);
  for (size_t i = 1; i < words.size(); ++i) {
    std::string& word = words[i];
    if (word == "--" || word.empty() || word[0] != '-') break;
    if (word == "-np" || word.find("-np=") == 0) word.insert(0, "-");
    const bool takes_next = word == "-n" || word == "--np" || word == "--ranks" || word == "--print-id";
    if (takes_next && i + 1 < words.size() && words[i + 1][0] != '-') ++i;
  }
  return words;
}

}  // namespace

int main(int argc, char** argv) {
  Config config;
  std::string where;
  CLI::App app{"Starts N ranks of a program on this host: tutti-run -n N [--bind] [--tag-output] command arguments..."};
  auto* const ranks = app.add_option("-n,--np,--ranks", config.ranks, "number of ranks (also -np N)");
  ranks->check(CLI::Range(1, tutti::kMaxRanks))->type_name("N");
  app.add_flag("--bind", config.bind, "pin rank i to core i");
  app.add_flag("--tag-output", config.tag_output, "begin every line with the number of its rank");
  auto* const id = app.add_option("--print-id", where, "only print TUTTI_COMM_ID=host:port#secret, with a random secret, for ranks that "
                                  "another launcher starts (default: this host, a free port)");
  id->expected(0, 1)->type_name("HOST[:PORT]")->excludes(ranks);
  app.prefix_command();
  std::vector<std::string> words = words_of(argc, argv);
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  return tutti::tool::run_tool(kProgram, app, argc, pointers.data(), [&] {
    config.command = app.remaining();
    if (!config.command.empty() && config.command.front() == "--") config.command.erase(config.command.begin());
    if (!config.command.empty() && config.command.front().find('-') == 0) throw CLI::ExtrasError({config.command.front()});
    if (id->count() > 0) {
      if (!config.command.empty()) throw CLI::ValidationError("--print-id", "starts no command: leave out " + config.command.front());
      return print_id(where);
    }
    if (ranks->count() == 0) throw CLI::RequiredError("-n");
    if (config.command.empty() || config.command.front().empty()) throw CLI::ValidationError("command", "nothing to run was given");
    return run(config);
  });
}

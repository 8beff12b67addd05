// tutti-run: starts the ranks of a program on this host and watches them.
//
// Every rank gets TUTTI_RANK, TUTTI_NRANKS, TUTTI_LOCAL_RANK and TUTTI_COMM_ID (a free port of the loopback interface and a
// random secret), so that tuttiGetUniqueId() needs no exchange; and RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE,
// MASTER_ADDR and MASTER_PORT for programs that find one another by those. The first rank that fails is named, the others
// are ended (SIGTERM after a second in which they can say what they saw, SIGKILL after 2 s more), and its exit code is ours
// (128 + signal). Nothing that a rank has started outlives it, unless it leaves the rank's process group.
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "perf/children.h"
#include "perf/pinning.h"

namespace {

constexpr const char* kProgram = "tutti-run";
constexpr int kNotFound = 127, kNotRunnable = 126;  // as a shell says it

struct Config {
  int ranks = 0;
  bool bind = false, tag_output = false;
  std::vector<std::string> command;
};

// A port of the loopback interface that is free now; 0: none (errno). Held open until all are chosen, so that two differ.
class FreePort {
 public:
  FreePort() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    if (fd_ >= 0 && bind(fd_, any, size) == 0 && getsockname(fd_, any, &size) == 0) number_ = ntohs(address.sin_port);
  }
  ~FreePort() {
    if (fd_ >= 0) close(fd_);
  }
  FreePort(const FreePort&) = delete;
  FreePort& operator=(const FreePort&) = delete;
  int number() const { return number_; }

 private:
  int fd_, number_ = 0;
};

std::string random_secret() {
  unsigned char bytes[16];
  if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) return "";
  std::string text;
  for (const unsigned char byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", byte);
    text += digits;
  }
  return text;
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
  if (config.bind && !cores.empty() && !tutti::perf::pin_to(cores[number % cores.size()]))
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
  const std::string secret = random_secret();
  {
    const FreePort ours, theirs;
    if (secret.empty() || ours.number() == 0 || theirs.number() == 0) {
      std::fprintf(stderr, "%s: no free port or no random numbers: %s\n", kProgram, std::strerror(errno));
      return 1;
    }
    const std::string ranks = std::to_string(config.ranks);
    for (const char* const name : {"TUTTI_NRANKS", "WORLD_SIZE", "LOCAL_WORLD_SIZE"}) setenv(name, ranks.c_str(), 1);
    setenv("TUTTI_COMM_ID", ("127.0.0.1:" + std::to_string(ours.number()) + "#" + secret).c_str(), 1);
    setenv("MASTER_ADDR", "127.0.0.1", 1);
    setenv("MASTER_PORT", std::to_string(theirs.number()).c_str(), 1);
  }
  const std::vector<int> cores = config.bind ? tutti::perf::usable_cores() : std::vector<int>{};
  tutti::perf::Children children(
      {.program = kProgram, .patience_s = 1, .own_groups = true, .tag_output = config.tag_output});
  for (int rank = 0; rank < config.ranks; ++rank) {
    if (children.start([&] { return run_rank(config, rank, cores); })) continue;
    std::fprintf(stderr, "%s: cannot start rank %d: %s\n", kProgram, rank, std::strerror(errno));
    return 1;
  }
  return children.supervise();
}

}  // namespace

int main(int argc, char** argv) {
  Config config;
  CLI::App app{"Starts N ranks of a program on this host: tutti-run -n N [--bind] [--tag-output] command arguments..."};
  app.add_option("-n,--ranks", config.ranks, "number of ranks")->required()->check(CLI::Range(1, 4096));
  app.add_flag("--bind", config.bind, "pin rank i to core i");
  app.add_flag("--tag-output", config.tag_output, "begin every line with the number of its rank");
  app.prefix_command();
  try {
    app.parse(argc, argv);
    config.command = app.remaining();
    if (!config.command.empty() && config.command.front() == "--") config.command.erase(config.command.begin());
    if (config.command.empty()) throw CLI::ValidationError("command", "nothing to run was given");
    if (config.command.front().front() == '-') throw CLI::ExtrasError({config.command.front()});
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return 0;
  } catch (const CLI::Error& error) {
    std::cerr << kProgram << ": " << error.what() << "; see --help\n";
    return 2;
  }
  return run(config);
}

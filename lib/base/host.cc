// host: see host.h.
#include "lib/base/host.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <mutex>

namespace tutti {

std::string host_name() {
  char name[256] = "";
  const bool known = gethostname(name, sizeof name - 1) == 0 && name[0] != '\0';
  return known ? name : "?";
}

std::string read_kernel_file(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return "";
  char text[4096];
  const ssize_t bytes = read(file, text, sizeof text);
  close(file);
  return std::string(text, bytes > 0 ? static_cast<size_t>(bytes) : 0);
}

Result<std::string> machine_id() {
  static std::mutex mutex;
  static std::string known;
  const std::lock_guard lock(mutex);
  if (!known.empty()) return known;
  constexpr const char* kFile = "/proc/sys/kernel/random/boot_id";
  errno = 0;
  const std::string text = read_kernel_file(kFile);
  if (const int error = errno; text.empty() && (error == EMFILE || error == ENFILE || error == ENOMEM))
    return system_failure(error, "cannot read ", kFile, ", by which ranks find out that they share a host",
                          error == ENOMEM ? "" : " (raise the limit with ulimit -n)");
  known = text.empty() ? host_name() : text.substr(0, text.find('\n'));
  return known;
}

uint64_t network_number() {
  struct stat network {};
  return stat("/proc/thread-self/ns/net", &network) == 0 ? network.st_ino : 0;
}

uint64_t host_number() {
  const Result<std::string> id = machine_id();
  return std::hash<std::string>()(concat(id.ok() ? id.value() : "?", network_number()));
}

}  // namespace tutti

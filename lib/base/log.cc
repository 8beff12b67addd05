// log: see log.h.
#include "lib/base/log.h"

#include <unistd.h>

#include <atomic>

#include "lib/base/host.h"

namespace tutti {
namespace {
std::atomic<int> g_level{0};
}

void set_log_level(LogLevel level) { g_level.store(static_cast<int>(level), std::memory_order_relaxed); }

bool log_enabled(LogLevel level) { return static_cast<int>(level) <= g_level.load(std::memory_order_relaxed); }

void log_line(LogLevel level, int rank, const std::string& text) {
  static const char* const names[] = {"", "WARN", "INFO", "TRACE"};
  std::string line = concat(host_name(), ":", getpid(), ":");
  line += rank < 0 ? "-" : std::to_string(rank);
  line += concat(" tutti ", names[static_cast<int>(level)], " ", text, "\n");
  // One write per line, so that lines of many processes do not mix. Nothing can be done if stderr is gone.
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace tutti

// log: lines on stderr, off by default (TUTTI_DEBUG=WARN|INFO|TRACE), each written whole: "host:pid:rank tutti LEVEL text".
//
// The level is the one mutable global that is not a table of live objects (handles, arenas, allocations).
#pragma once
#include <string>

#include "lib/base/status.h"

namespace tutti {

enum class LogLevel : int { None = 0, Warn = 1, Info = 2, Trace = 3 };

void set_log_level(LogLevel level);
bool log_enabled(LogLevel level);
// rank < 0: no rank yet.
void log_line(LogLevel level, int rank, const std::string& text);

template <typename... Args>
void log_warn(int rank, const Args&... args) {
  if (log_enabled(LogLevel::Warn)) log_line(LogLevel::Warn, rank, concat(args...));
}
template <typename... Args>
void log_info(int rank, const Args&... args) {
  if (log_enabled(LogLevel::Info)) log_line(LogLevel::Info, rank, concat(args...));
}

}  // namespace tutti

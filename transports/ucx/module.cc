// module: the one symbol of this module, and what is done once when a process first uses it: UCX, a library, must neither catch
// the program's signals nor print, unless its user says so by UCX_ERROR_SIGNALS, UCX_HANDLE_ERRORS or UCX_LOG_LEVEL.
#include "lib/transport/module.h"

#include <ucs/debug/debug.h>
#include <ucs/debug/log_def.h>

#include <algorithm>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "lib/base/log.h"
#include "transports/ucx/ucx.h"

namespace tutti::ucx {
namespace {

ucs_log_func_rc_t to_our_log(const char*, unsigned, const char*, ucs_log_level_t, const ucs_log_component_config_t*,
                             const char* format, va_list arguments) {
  if (!log_enabled(LogLevel::Warn)) return UCS_LOG_FUNC_RC_STOP;
  char text[512];
  std::vsnprintf(text, sizeof text, format, arguments);
  try {
    log_line(LogLevel::Warn, -1, concat("ucx: ", text));
  } catch (const std::bad_alloc&) {  // UCX, which is C, calls this
  }
  return UCS_LOG_FUNC_RC_STOP;
}

void tame_ucx() {
  if (!std::getenv("UCX_ERROR_SIGNALS") && !std::getenv("UCX_HANDLE_ERRORS"))
    for (const int signal : {SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGHUP}) ucs_debug_disable_signal(signal);
  if (!std::getenv("UCX_LOG_LEVEL")) ucs_log_push_handler(&to_our_log);
}

Result<std::unique_ptr<Transport>> create_tamed(const TransportOptions& options) {
  // This module has its own copy of the log.
  static const char* const levels[] = {"NONE", "WARN", "INFO", "TRACE"};
  const auto level = std::find(std::begin(levels), std::end(levels), options.settings.text(Setting::Debug));
  if (level != std::end(levels)) set_log_level(static_cast<LogLevel>(level - std::begin(levels)));
  static const bool tamed = (tame_ucx(), true);
  (void)tamed;
  return create(options);
}

}  // namespace
}  // namespace tutti::ucx

extern "C" __attribute__((visibility("default"))) const tutti::TransportModule* tutti_transport_module() {
  static const tutti::TransportModule module{tutti::kModuleInterface, tutti::kSettings,
                                             {"ucx", "between hosts, over TCP or whatever network UCX finds", tutti::ucx::create_tamed}};
  return &module;
}

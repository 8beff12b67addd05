// module: the one symbol of this module, and the preparations before UCX is used. UCX must not catch the program's signals, unless the user
// sets UCX_ERROR_SIGNALS or UCX_HANDLE_ERRORS. It must not print, unless the user sets UCX_LOG_LEVEL. None of its sockets may get the
// number of a standard file, to which a program writes.
#include "lib/transport/module.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <ucp/api/ucp.h>
#include <ucs/debug/debug.h>
#include <ucs/debug/log_def.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "lib/base/descriptor.h"
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
  } catch (const std::bad_alloc&) {  // UCX is C: no exception may leave this
  }
  return UCS_LOG_FUNC_RC_STOP;
}

// UCX before 1.18 is known to abort the process if a connection breaks while it is being made. Over TCP UcxEndpoint::hand_over() avoids
// that.
void warn_of_old_versions() {
  unsigned major = 0, minor = 0, release = 0;
  ucp_get_version(&major, &minor, &release);
  if (major > 1 || minor >= 18) return;
  log_warn(-1, "UCX ", ucp_get_version_string(), " may abort the process when a peer dies at first contact over RDMA");
}

void tame_ucx() {
  warn_of_old_versions();
  if (!std::getenv("UCX_ERROR_SIGNALS") && !std::getenv("UCX_HANDLE_ERRORS"))
    for (const int signal : {SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGHUP}) ucs_debug_disable_signal(signal);
  if (!std::getenv("UCX_LOG_LEVEL")) ucs_log_push_handler(&to_our_log);
}

// Occupies the numbers of closed standard files with descriptors that can neither be read nor written. They stay open for good: UCX
// accepts connections in a thread of its own, at any time.
void occupy_standard_files() {
  for (const int standard : {0, 1, 2}) {
    if (fcntl(standard, F_GETFD) >= 0) continue;
    const int fd = open("/dev/null", O_PATH | O_CLOEXEC);
    if (fd > 2) close(fd);  // another thread has occupied it
  }
}

// UCX aborts the process if it cannot start its thread or open the thread's descriptors. So this tries first whether there is room: for
// the thread and its stack, for the descriptors, and for some memory of UCX's own.
Status try_resources() {
  constexpr size_t kBytes = size_t{24} << 20;
  constexpr int kDescriptors = 24;
  Descriptor descriptors[kDescriptors];
  for (Descriptor& descriptor : descriptors) {
    descriptor = Descriptor(open("/dev/null", O_PATH | O_CLOEXEC));
    if (!descriptor.open()) return system_failure(errno, "ucx: too few descriptors are left (raise ulimit -n)");
  }
  void* const memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return system_failure(errno, "ucx: too little address space is left (raise ulimit -v)");
  pthread_t thread;
  const int error = pthread_create(&thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr);
  if (error == 0) pthread_join(thread, nullptr);
  munmap(memory, kBytes);
  return error == 0 ? Status() : system_failure(error, "ucx: cannot start a thread (see ulimit -v, -s, -u)");
}

Result<std::unique_ptr<Transport>> create_tamed(const TransportOptions& options) {
  // This module has its own copy of the log.
  static const char* const levels[] = {"NONE", "WARN", "INFO", "TRACE"};
  const auto level = std::find(std::begin(levels), std::end(levels), options.settings.text(Setting::Debug));
  if (level != std::end(levels)) set_log_level(static_cast<LogLevel>(level - std::begin(levels)));
  static const bool tamed = (tame_ucx(), true);
  (void)tamed;
  occupy_standard_files();
  TUTTI_TRY(try_resources());
  return create(options);
}

}  // namespace
}  // namespace tutti::ucx

extern "C" __attribute__((visibility("default"))) const tutti::TransportModule* tutti_transport_module() {
  static const tutti::TransportModule module{tutti::kModuleInterface, tutti::kSettings,
                                             {"ucx", "between hosts, over TCP or whatever network UCX finds", tutti::ucx::create_tamed}};
  return &module;
}

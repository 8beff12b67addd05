// entry: see entry.h; and the calls about errors and the version.
#include "lib/api/entry.h"

namespace tutti {
namespace {

// What this thread's last failed call said, and the copy that tuttiGetLastError handed out.
thread_local std::string t_last_error;
thread_local std::string t_shown_error;

}  // namespace

constinit LazyTable<HandleTable<Comm, 16384>> comm_handles;
constinit LazyTable<HandleTable<Stream, 4096>> stream_handles;

Status bad_comm(const char* function) {
  return fail(Code::InvalidArgument, function, ": comm is not a communicator (NULL, destroyed, or never made)");
}

Status bad_stream(const char* function) {
  return fail(Code::InvalidArgument, function, ": stream is not a stream (NULL, destroyed, or never made)");
}

tuttiResult_t answer_failure(const Status& status) noexcept {
  if (status.code() == Code::InProgress) return tuttiInProgress;
  try {
    t_last_error = status.text();
  } catch (const std::bad_alloc&) {
    t_last_error = "out of memory";  // short enough to need none
  }
  return static_cast<tuttiResult_t>(status.code());
}

tuttiResult_t answer_exception(const std::exception& error) noexcept {
  const bool no_memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
  return answer_failure(noted_in_group(no_memory ? Status::out_of_memory() : fail(Code::InternalError, "unexpected exception: ", error.what())));
}

}  // namespace tutti

using namespace tutti;

extern "C" {

tuttiResult_t tuttiGetVersion(int* version) {
  return enter([&]() -> Status {
    if (!version) return fail(Code::InvalidArgument, "tuttiGetVersion: version is NULL");
    *version = TUTTI_VERSION_CODE;
    return {};
  });
}

const char* tuttiGetErrorString(tuttiResult_t result) {
  switch (result) {
    case tuttiSuccess: return "no error";
    case tuttiUnhandledDeviceError: return "the accelerator's runtime failed (tuttiGetLastError says more)";
    case tuttiSystemError: return "a call to the operating system failed (tuttiGetLastError says which)";
    case tuttiInternalError: return "internal error: please report this as a bug of Tutti";
    case tuttiInvalidArgument: return "invalid argument (tuttiGetLastError says which)";
    case tuttiInvalidUsage: return "invalid usage: calls do not fit together (tuttiGetLastError says which)";
    case tuttiRemoteError: return "another rank died, failed, or did not come in time (tuttiGetLastError names it)";
    case tuttiInProgress: return "operation in progress";
    default: return "unknown result code";
  }
}

const char* tuttiGetLastError(tuttiComm_t comm) {
  try {
    t_shown_error = t_last_error;
    if (!comm) return t_shown_error.c_str();
    const CommGuard guard(comm);
    if (!guard) {
      t_shown_error = bad_comm("tuttiGetLastError").text();
    } else if (const Status state = guard->state(); !state.ok() && state.code() != Code::InProgress) {
      // What this thread was told may say more (in which call it was); both begin with the first cause.
      if (t_last_error.compare(0, state.text().size(), state.text()) != 0) t_shown_error = state.text();
    }
    return t_shown_error.c_str();
  } catch (const std::exception&) {
    return "out of memory";
  }
}

}  // extern "C"

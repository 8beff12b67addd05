// entry: see entry.h; and the calls about errors and the version.
#include "lib/api/entry.h"

#include <cctype>
#include <deque>
#include <mutex>

#include "lib/base/per_thread.h"

namespace tutti {
namespace {

struct LastError {
  std::string text;   // of the thread's last failed call
  std::string shown;  // the copy that tuttiGetLastError handed out
};
// This thread's last failed call found no memory to keep its text.
constinit thread_local bool t_text_lost = false;

}  // namespace

constinit LazyTable<HandleTable<Comm, 16384>> comm_handles;
constinit LazyTable<HandleTable<Stream, 4096>> stream_handles;

namespace {

struct Past {
  std::mutex mutex;
  std::deque<std::pair<tuttiComm_t, Status>> failures;  // the last kMostPast
};
Past& past() {
  static Past* const all = new Past;  // never destroyed: threads may outlive static destructors
  return *all;
}
constexpr size_t kMostPast = 64;

}  // namespace

void remember_failure(tuttiComm_t comm, const Status& failure) noexcept {
  try {
    const std::lock_guard lock(past().mutex);
    past().failures.emplace_back(comm, failure);
    if (past().failures.size() > kMostPast) past().failures.pop_front();
  } catch (const std::exception&) {
    // There is no memory to remember it.
  }
}

std::optional<Status> remembered_failure(tuttiComm_t comm) {
  if (!comm_handles().owes_end(reinterpret_cast<uintptr_t>(comm))) return {};
  const std::lock_guard lock(past().mutex);
  for (const auto& [handle, failure] : past().failures)
    if (handle == comm) return failure;
  return {};
}

Status bad_comm() { return fail(Code::InvalidArgument, "comm is not a communicator (NULL, destroyed, or never made)"); }

Status bad_stream() { return fail(Code::InvalidArgument, "stream is not a stream (NULL, destroyed, or never made)"); }

Status named(const char* function, Status status) noexcept {
  if (status.code() != Code::InvalidArgument && status.code() != Code::InvalidUsage) return status;
  const std::string& text = status.text();
  const bool already = text.size() > 5 && text.starts_with("tutti") && std::isupper(static_cast<unsigned char>(text[5]));
  return already ? status : fail(status.code(), function, ": ", text);
}

tuttiResult_t answer_failure(const char* function, Status status) noexcept {
  if (status.code() == Code::InProgress) return tuttiInProgress;
  status = named(function, std::move(status));
  try {
    PerThread<LastError>::get().text = status.text();
    t_text_lost = false;
  } catch (const std::bad_alloc&) {
    t_text_lost = true;
  }
  return static_cast<tuttiResult_t>(status.code());
}

tuttiResult_t answer_exception(const char* function, const std::exception& error) noexcept {
  const bool no_memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
  Status status = no_memory ? Status::out_of_memory() : fail(Code::InternalError, function, ": unexpected exception: ", error.what());
  return answer_failure(function, noted_in_group(function, std::move(status)));
}

}  // namespace tutti

using namespace tutti;

extern "C" {

tuttiResult_t tuttiGetVersion(int* version) {
  return enter("tuttiGetVersion", [&]() -> Status {
    if (!version) return fail(Code::InvalidArgument, "version is NULL");
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
    auto& [text, shown] = PerThread<LastError>::get();
    if (std::exchange(t_text_lost, false)) text = "out of memory";
    shown = text;
    if (!comm) return shown.c_str();
    const CommGuard guard(comm);
    const std::optional<Status> past = guard ? std::nullopt : remembered_failure(comm);
    if (!guard && !past) {
      shown = named("tuttiGetLastError", bad_comm()).text();
    } else if (const Status state = guard ? guard->state() : *past; !state.ok() && state.code() != Code::InProgress) {
      // This thread's own error may contain the first cause and say more: in which call the thread was.
      if (text.find(state.text()) == std::string::npos) shown = state.text();
    }
    return shown.c_str();
  } catch (const std::exception&) {
    return "out of memory";
  }
}

}  // extern "C"

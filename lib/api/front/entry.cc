// entry: see entry.h; and the calls about errors and the version.
#include "lib/api/front/entry.h"

#include <cstring>
#include <deque>
#include <mutex>

#include "lib/api/front/group.h"
#include "lib/base/per_thread.h"

namespace tutti::front {
namespace {

struct LastError {
  std::string text;   // of the thread's last failed call
  std::string shown;  // the copy that last_error() handed out
};
// This thread's last failed call found no memory to keep its text.
constinit thread_local bool t_text_lost = false;

struct Past {
  std::mutex mutex;
  std::deque<std::pair<CommHandle, Status>> failures;  // the last kMostPast
};
Past& past() {
  static Past* const all = new Past;  // never destroyed: threads may outlive static destructors
  return *all;
}
constexpr size_t kMostPast = 64;

}  // namespace

constinit LazyTable<Comm, kMostComms> comm_table;
constinit LazyTable<Stream, kMostStreams> stream_table;

// By bytes: `out` points to a door's handle, of a type that the front does not know.
void write_handle(HandleOut out, uintptr_t handle) { std::memcpy(out, &handle, sizeof handle); }

void remember_failure(CommHandle comm, const Status& failure) noexcept {
  try {
    const std::lock_guard lock(past().mutex);
    past().failures.emplace_back(comm, failure);
    if (past().failures.size() > kMostPast) past().failures.pop_front();
  } catch (const std::exception&) {
    // There is no memory to remember it.
  }
}

std::optional<Status> state_of(CommHandle comm) {
  if (const CommGuard guard(comm); guard) return guard->state();
  if (!comm_table().owes_end(number_of(comm))) return {};
  const std::lock_guard lock(past().mutex);
  for (const auto& [handle, failure] : past().failures)
    if (handle == comm) return failure;
  return {};
}

Status bad_comm(const Caller& caller) noexcept {
  return fail(Code::InvalidArgument, caller.door->names.comm, " is not a communicator (NULL, destroyed, or never made)");
}

Status bad_stream(const Caller& caller) noexcept {
  return fail(Code::InvalidArgument, caller.door->names.stream, " is not a stream (NULL, destroyed, or never made)");
}

Status null_argument(const char* name) noexcept { return fail(Code::InvalidArgument, name, " is NULL"); }

Status bad_number(const char* name, int value, int most) noexcept {
  return fail(Code::InvalidArgument, name, " is ", value, ", must be 0..", most);
}

Status named(const Caller& caller, Status status) noexcept {
  if (status.code() != Code::InvalidArgument && status.code() != Code::InvalidUsage) return status;
  return fail(status.code(), caller.function, ": ", status.text());
}

Code answer(const Status& status) noexcept {
  if (status.ok() || status.code() == Code::InProgress) return status.code();
  try {
    PerThread<LastError>::get().text = status.text();
    t_text_lost = false;
  } catch (const std::bad_alloc&) {
    t_text_lost = true;
  }
  return status.code();
}

Code answer_failure(const Caller& caller, Status status) noexcept { return answer(named(caller, std::move(status))); }

Code answer_exception(const Caller& caller, const std::exception& error) noexcept {
  const bool no_memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
  Status status =
      no_memory ? Status::out_of_memory() : fail(Code::InternalError, caller.function, ": unexpected exception: ", error.what());
  note_in_group(caller, status);
  return answer_failure(caller, std::move(status));
}

Code get_version(int* version, int value, const Caller& caller) noexcept {
  return enter(caller, [&]() -> Status {
    if (!version) return null_argument(caller.door->names.version);
    *version = value;
    return {};
  });
}

const char* last_error(CommHandle comm, const Caller& caller) noexcept {
  try {
    auto& [text, shown] = PerThread<LastError>::get();
    if (std::exchange(t_text_lost, false)) text = "out of memory";
    shown = text;
    if (number_of(comm) == 0) return shown.c_str();
    const std::optional<Status> state = state_of(comm);
    if (!state) {
      shown = named(caller, bad_comm(caller)).text();
    } else if (!state->ok() && state->code() != Code::InProgress && text.find(state->text()) == std::string::npos) {
      // Otherwise this thread's own error contains the first cause and says more: in which call the thread was.
      shown = state->text();
    }
    return shown.c_str();
  } catch (const std::exception&) {
    return "out of memory";
  }
}

}  // namespace tutti::front

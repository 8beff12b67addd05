// entry: what every C entry point shares: handles, the last error, and the wall that no exception crosses.
#pragma once
#include <exception>
#include <new>
#include <optional>
#include <utility>

#include "include/tutti/tutti.h"
#include "lib/api/handles.h"
#include "lib/base/float_mode.h"
#include "lib/comm/comm.h"
#include "lib/comm/stream.h"

namespace tutti {

// Made by the first call that asks.
template <typename Table>
class LazyTable {
 public:
  constexpr LazyTable() = default;
  Table& operator()() {
    Table* table = table_.load(std::memory_order_acquire);
    return table ? *table : make();
  }

 private:
  Table& make() {
    static Table* const table = Table::make();
    table_.store(table, std::memory_order_release);
    return *table;
  }
  std::atomic<Table*> table_{nullptr};
};
extern LazyTable<HandleTable<Comm, 16384>> comm_handles;
extern LazyTable<HandleTable<Stream, 4096>> stream_handles;

// A communicator or stream for the time of one call.
template <auto& table>
class Guard {
 public:
  template <typename Handle>
  explicit Guard(Handle handle) : handle_(reinterpret_cast<uintptr_t>(handle)), object_(table().acquire(handle_)) {}
  ~Guard() {
    if (object_) table().release(handle_);
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  explicit operator bool() const { return object_ != nullptr; }
  auto* operator->() const { return object_; }
  auto* get() const { return object_; }

 private:
  const uintptr_t handle_;
  decltype(table().acquire(0)) const object_;
};
using CommGuard = Guard<comm_handles>;
using StreamGuard = Guard<stream_handles>;

// The same for the calls that only one thread at a time may make on a communicator.
class CallGuard {
 public:
  explicit CallGuard(tuttiComm_t handle)
      : handle_(reinterpret_cast<uintptr_t>(handle)), object_(comm_handles().enter(handle_)) {}
  ~CallGuard() {
    if (object_) comm_handles().leave(handle_);
  }
  CallGuard(const CallGuard&) = delete;
  CallGuard& operator=(const CallGuard&) = delete;
  explicit operator bool() const { return object_ != nullptr; }
  Comm* operator->() const { return object_; }
  Comm* get() const { return object_; }

 private:
  const uintptr_t handle_;
  Comm* const object_;
};

// The first failures of communicators that tuttiCommAbort has ended: a thread that was inside a call then may still ask for it.
void remember_failure(tuttiComm_t comm, const Status& failure) noexcept;
std::optional<Status> remembered_failure(tuttiComm_t comm);

Status bad_comm();
Status bad_stream();

// Puts the function's name before the sentence of a caller's mistake (InvalidArgument, InvalidUsage). Not if the sentence begins with a
// function's name already: tuttiGroupEnd returns the failure of a call in the group.
Status named(const char* function, Status status) noexcept;
// Remembers the sentence of named() for this thread's tuttiGetLastError(NULL), and returns the code.
tuttiResult_t answer_failure(const char* function, Status status) noexcept;
// The same for an exception: a bug, or no memory. An open group fails, too.
tuttiResult_t answer_exception(const char* function, const std::exception& error) noexcept;

// Runs the body of the entry point `function`. An exception (a bug, or no memory) becomes a result. The sentences of a body need not begin
// with the function's name. The body must do no floating-point calculation of its own.
template <typename Body>
tuttiResult_t enter_call(const char* function, const Body& body) noexcept {
  try {
    Status status = body();
    return status.ok() ? tuttiSuccess : answer_failure(function, std::move(status));
  } catch (const std::exception& error) {
    return answer_exception(function, error);
  }
}
// The same for a body that may calculate.
template <typename Body>
tuttiResult_t enter(const char* function, const Body& body) noexcept {
  const DefaultFloatMode mode;
  return enter_call(function, body);
}

// How deep this thread is in groups. (group.cc)
extern constinit thread_local int t_group_depth;
inline bool in_group() { return t_group_depth > 0; }
// named(). Remembers the first failure inside a group: tuttiGroupEnd returns it and starts nothing.
Status noted_in_group(const char* function, Status status) noexcept;
// Runs the body of a call that can be part of a group, and passes its failure through noted_in_group().
template <typename Body>
Status noting(const char* function, const Body& body) {
  Status status = body();
  if (!status.ok()) [[unlikely]]
    return noted_in_group(function, std::move(status));
  return status;
}
template <typename Body>
tuttiResult_t enter_noting(const char* function, const Body& body) noexcept {
  return enter(function, [&] { return noting(function, body); });
}
// Queues the call on a stream, or adds it to the group.
Status dispatch_later(tuttiComm_t comm, Comm& object, tuttiStream_t stream, Call&& call);
// Runs the call now, or later.
inline Status dispatch(tuttiComm_t comm, Comm& object, tuttiStream_t stream, Call&& call) {
  if (!stream && !in_group()) [[likely]]
    return object.run_in_turn({&call, 1});
  return dispatch_later(comm, object, stream, std::move(call));
}
// Work on communicators that has to run side by side with that of others in a group (init, split).
struct Setup {
  const char* function = nullptr;  // the function that the user called
  Status (*run)(Setup& setup) = nullptr;
  void (*drop)(Setup& setup) = nullptr;  // called instead of run, or after run has thrown; `status` says why
  Comm* comm = nullptr;         // init: the new one
  Comm* parent = nullptr;       // init of a split's child: if the parent fails, the init ends
  tuttiComm_t* out = nullptr;   // where the handle goes; NULL is written on failure
  uintptr_t handle = 0;         // init: the new one's; split: the parent's
  UniqueId id{};                // init: the communicator's
  int color = 0, key = 0;
  double timeout_s = 0;
  std::string name;
  Status status;
};
Status dispatch(std::vector<Setup> setups);

}  // namespace tutti

// entry: what every C entry point shares: handles, the last error, and the wall that no exception crosses.
#pragma once
#include <exception>
#include <new>
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

Status bad_comm(const char* function);
Status bad_stream(const char* function);

// Remembers a failure's sentence for tuttiGetLastError(NULL) of this thread, and returns its code.
tuttiResult_t answer_failure(const Status& status) noexcept;
// The same for what a bug has thrown, or an allocation; an open group fails with it.
tuttiResult_t answer_exception(const std::exception& error) noexcept;
inline tuttiResult_t answer(const Status& status) { return status.ok() ? tuttiSuccess : answer_failure(status); }

// Runs the body of an entry point that calculates nothing itself; a bug that throws (or no memory) becomes a result.
template <typename Body>
tuttiResult_t enter_call(const Body& body) noexcept {
  try {
    return answer(body());
  } catch (const std::exception& error) {
    return answer_exception(error);
  }
}
// The same for all others.
template <typename Body>
tuttiResult_t enter(const Body& body) noexcept {
  const DefaultFloatMode mode;
  return enter_call(body);
}

// How deep this thread is in groups. (group.cc) Every call looks at it, hence a model of thread-local memory that takes no call.
extern constinit thread_local int t_group_depth __attribute__((tls_model("initial-exec")));
inline bool in_group() { return t_group_depth > 0; }
// Remembers the first failure inside a group: tuttiGroupEnd returns it and starts nothing.
Status noted_in_group(Status status);
// Queues the call on a stream, or adds it to the group.
Status dispatch_later(const char* function, tuttiComm_t comm, Comm& object, tuttiStream_t stream, Call&& call);
// Runs the call now, or later. `function` is what the user called.
inline Status dispatch(const char* function, tuttiComm_t comm, Comm& object, tuttiStream_t stream, Call&& call) {
  if (!stream && !in_group()) [[likely]]
    return object.run_in_turn({&call, 1});
  return dispatch_later(function, comm, object, stream, std::move(call));
}
// Work on communicators that has to run side by side with that of others in a group (init, split).
struct Setup {
  Status (*run)(Setup& setup) = nullptr;
  void (*drop)(Setup& setup) = nullptr;  // instead of run, or when it ends by an exception; `status` says why
  Comm* comm = nullptr;         // init: the new one
  Comm* parent = nullptr;       // init, of a child of a split: what ends the parent ends it, too
  tuttiComm_t* out = nullptr;   // where the handle goes; NULL is written on failure
  uintptr_t handle = 0;         // init: the new one's; split: the parent's
  UniqueId id{};                // init: of the communicator
  int color = 0, key = 0;
  double timeout_s = 0;
  std::string name;
  Status status;
};
Status dispatch(std::vector<Setup> setups);

}  // namespace tutti

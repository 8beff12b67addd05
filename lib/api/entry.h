// entry: what every C entry point shares: handles, the last error, and the wall that no exception crosses.
#pragma once
#include <exception>
#include <new>
#include <utility>

#include "include/tutti/tutti.h"
#include "lib/api/handles.h"
#include "lib/comm/comm.h"
#include "lib/comm/stream.h"

namespace tutti {

HandleTable<Comm, 16384>& comm_handles();
HandleTable<Stream, 4096>& stream_handles();

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
tuttiResult_t answer(const Status& status);

// Runs the body of an entry point; a bug that throws (or no memory) becomes a result.
template <typename Body>
tuttiResult_t enter(Body body) noexcept {
  try {
    return answer(body());
  } catch (const std::bad_alloc&) {
    return answer(fail(Code::SystemError, "out of memory"));
  } catch (const std::exception& error) {
    return answer(fail(Code::InternalError, "unexpected exception: ", error.what()));
  }
}

// The outermost group of this thread, collecting. (group.cc)
bool in_group();
// Remembers the first failure inside a group: tuttiGroupEnd returns it and starts nothing.
Status noted_in_group(Status status);
// Runs the call now, queues it, or adds it to the group. `function` is what the user called.
Status dispatch(const char* function, tuttiComm_t comm, Comm& object, tuttiStream_t stream, Call call);
// Work on communicators that has to run side by side with that of others in a group (init, split).
struct Setup {
  Status (*run)(Setup& setup) = nullptr;
  void (*drop)(Setup& setup) = nullptr;  // instead of run; null: nothing to undo
  Comm* comm = nullptr;         // init: the new one; split: the parent
  tuttiComm_t* out = nullptr;   // where the handle goes; NULL is written on failure
  uintptr_t handle = 0;         // init: the new one's; split: the parent's
  int color = 0, key = 0;
  double timeout_s = 0;
  std::string name;
  Status status;
};
Status dispatch(std::vector<Setup> setups);

}  // namespace tutti

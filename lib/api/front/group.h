// group: calls that start together, and the way of every call into a communicator: at once, on a stream, or at the group's end.
#pragma once
#include <string>
#include <vector>

#include "lib/api/front/entry.h"

namespace tutti::front {

// How deep this thread is in groups.
extern constinit thread_local int t_group_depth;
inline bool in_group() { return t_group_depth > 0; }
// Remembers the first failure inside a group: group_end() returns it and starts nothing.
[[gnu::cold]] void note_in_group(const Caller& caller, const Status& status) noexcept;
// Runs the body of a call that can be part of a group, and shows its failure to note_in_group().
template <typename Body>
Status noting(const Caller& caller, const Body& body) {
  Status status = body();
  if (!status.ok()) [[unlikely]]
    note_in_group(caller, status);
  return status;
}
template <typename Body>
Code enter_noting(const Caller& caller, const Body& body) noexcept {
  return enter(caller, [&] { return noting(caller, body); });
}

// Queues the call on a stream, or adds it to the group.
Status dispatch_later(CommHandle comm, Comm& object, StreamHandle stream, Call&& call, const Caller& caller);
// Runs the call now, or later.
inline Status dispatch(CommHandle comm, Comm& object, StreamHandle stream, Call&& call, const Caller& caller) {
  if (number_of(stream) == 0 && !in_group()) [[likely]]
    return object.run_in_turn({&call, 1});
  return dispatch_later(comm, object, stream, std::move(call), caller);
}

// Work on communicators that has to run side by side with that of others in a group (init, split).
struct Setup {
  Caller caller{};
  Status (*run)(Setup& setup) = nullptr;
  void (*drop)(Setup& setup) = nullptr;  // called instead of run, or after run has thrown; `status` says why
  Comm* comm = nullptr;      // init: the new one
  Comm* parent = nullptr;    // init of a split's child: if the parent fails, the init ends
  HandleOut out = nullptr;   // where the handle goes; none is written on failure
  CommHandle handle{};       // init: the new one's; split: the parent's
  UniqueId id{};             // init: the communicator's
  int color = 0, key = 0;
  double timeout_s = 0;          // 0: the parent's
  std::optional<bool> blocking;  // none: the parent's
  std::string name;
  Status status;
};
// Runs the setups of one call now, or adds them to the group.
Status dispatch(std::vector<Setup> setups);

}  // namespace tutti::front

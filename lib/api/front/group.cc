// group: see group.h.
#include "lib/api/front/group.h"

#include <algorithm>

#include "lib/base/per_thread.h"
#include "lib/base/thread.h"

namespace tutti::front {
namespace {

// What a call was given.
struct Handles {
  CommHandle comm;
  StreamHandle stream;
  bool operator==(const Handles&) const = default;
};

struct Group {
  ~Group() { t_group_depth = 0; }  // the thread ends
  Status first_failure;  // after named()
  std::vector<Call> calls;
  std::vector<Handles> handles;  // of the calls
  std::vector<Setup> setups;
  // Keeps the memory of calls and handles for the next group.
  void clear() {
    first_failure = {};
    calls.clear();
    handles.clear();
    setups.clear();
  }
};

// Never throws while the thread is in a group: group_start() has made it.
Group& this_group() { return PerThread<Group>::get(); }

// Ends the other setups of the same communicator: they cannot finish without the one that has failed.
void tell_others(std::vector<Setup>& setups, const Setup& failed, const Status& failure) {
  for (const Setup& other : setups) {
    if (&other == &failed || !other.comm || other.id != failed.id) continue;
    if (const CommGuard comm(other.handle); comm) comm->end_joining(failure);
  }
}

// No exception may leave a thread.
void run_guarded(std::vector<Setup>& setups, Setup& setup) {
  try {
    setup.status = setup.run(setup);
  } catch (const std::exception&) {
    setup.status = Status::out_of_memory();
    if (setup.drop) setup.drop(setup);
  }
  if (!setup.status.ok()) tell_others(setups, setup, setup.status);
}

// Every setup needs the others to make progress: one thread each. Returns the first that has failed; null: none has.
const Setup* run_setups(std::vector<Setup>& setups) {
  const DefaultFloatMode mode;
  const auto first_failed = [&]() -> const Setup* {
    const auto failed = std::find_if(setups.begin(), setups.end(), [](const Setup& setup) { return !setup.status.ok(); });
    return failed == setups.end() ? nullptr : &*failed;
  };
  if (setups.size() == 1) {
    run_guarded(setups, setups[0]);
    return first_failed();
  }
  std::vector<Thread> threads(setups.size());
  for (size_t i = 0; i < setups.size(); ++i) {
    Setup& setup = setups[i];
    Status started = start_thread(&threads[i], "tutti-setup", [&setups, &setup] { run_guarded(setups, setup); });
    if (started.ok()) continue;
    tell_others(setups, setup, started);
    for (size_t k = i; k < setups.size(); ++k) {
      setups[k].status = started;
      if (setups[k].drop) setups[k].drop(setups[k]);
    }
    break;
  }
  for (Thread& thread : threads)
    if (thread.joinable()) thread.join();
  return first_failed();
}

// Calls on one communicator, now: like a single call.
Status run_here(CommHandle handle, std::span<const Call> calls, const Caller& caller) {
  const CallGuard comm(handle);
  if (!comm) return bad_comm(caller);
  if (!comm->ready()) return comm->refusal();
  return comm->run_in_turn(calls);
}

Status run_calls(Group& group, const Caller& caller) {
  const Handles first = group.handles[0];
  const auto is_first = [&](const Handles& handles) { return handles == first; };
  if (number_of(first.stream) == 0 && std::all_of(group.handles.begin(), group.handles.end(), is_first))
    return run_here(first.comm, group.calls, caller);

  auto batch = std::make_shared<Batch>();
  std::vector<Stream*> streams;
  // In use until submitted: a handle may have been destroyed since the call was collected.
  std::vector<std::unique_ptr<CommGuard>> comms;
  std::vector<std::unique_ptr<StreamGuard>> stream_guards;
  comms.reserve(group.calls.size());
  for (size_t i = 0; i < group.calls.size(); ++i) {
    comms.push_back(std::make_unique<CommGuard>(group.handles[i].comm));
    Comm* comm = comms.back()->get();
    if (!comm) return bad_comm(caller);
    if (!comm->ready()) return comm->refusal();
    Stream* stream = nullptr;
    if (number_of(group.handles[i].stream) != 0) {
      stream_guards.push_back(std::make_unique<StreamGuard>(group.handles[i].stream));
      stream = stream_guards.back()->get();
      if (!stream) return bad_stream(caller);
    }
    if (std::find(streams.begin(), streams.end(), stream) == streams.end()) streams.push_back(stream);
    auto part = std::find_if(batch->parts.begin(), batch->parts.end(), [&](const Part& p) { return p.comm == comm; });
    if (part == batch->parts.end()) part = batch->parts.insert(part, Part{comm, {}, 0});
    part->calls.push_back(std::move(group.calls[i]));
  }
  return submit(std::move(batch), streams);
}

// Runs what the outermost group has collected. A sentence that has to begin with a function's name does so already.
Status end_group(const Caller& caller) {
  if (t_group_depth == 0) return fail(Code::InvalidUsage, caller.function, " without ", caller.door->group_start);
  if (--t_group_depth > 0) return {};
  struct Cleared {  // also when memory runs out
    Group& group = this_group();
    ~Cleared() { group.clear(); }
  } cleared;
  Group& group = cleared.group;
  if (!group.first_failure.ok()) {  // nothing starts
    for (Setup& setup : group.setups)
      if (setup.drop) setup.drop(setup);
    return group.first_failure;
  }
  if (!group.setups.empty())
    if (const Setup* failed = run_setups(group.setups); failed) return named(failed->caller, failed->status);
  if (group.calls.empty()) return {};
  Status status = run_calls(group, caller);
  return status.ok() ? Status() : named(caller, std::move(status));
}

}  // namespace

constinit thread_local int t_group_depth = 0;

void note_in_group(const Caller& caller, const Status& status) noexcept {
  if (t_group_depth > 0 && status.code() != Code::InProgress && this_group().first_failure.ok())
    this_group().first_failure = named(caller, status);
}

Status dispatch_later(CommHandle comm, Comm& object, StreamHandle stream, Call&& call, const Caller& caller) {
  if (in_group()) {
    Group& group = this_group();
    group.handles.resize(group.calls.size());  // one more may be left from when memory ran out
    group.handles.push_back({comm, stream});
    group.calls.push_back(std::move(call));
    return {};
  }
  const StreamGuard guard(stream);
  if (!guard) return bad_stream(caller);
  auto batch = std::make_shared<Batch>();
  batch->parts.push_back(Part{&object, {}, 0});
  batch->parts[0].calls.push_back(std::move(call));
  return submit(std::move(batch), {guard.get()});
}

Status dispatch(std::vector<Setup> setups) {
  if (!in_group()) {
    const Setup* failed = run_setups(setups);
    return failed ? failed->status : Status();
  }
  for (Setup& setup : setups) this_group().setups.push_back(std::move(setup));
  return {};
}

Code group_start(const Caller& caller) noexcept {
  return enter_call(caller, []() -> Status {
    (void)this_group();
    ++t_group_depth;
    return {};
  });
}

Code group_end(const Caller& caller) noexcept {
  try {
    return answer(end_group(caller));
  } catch (const std::exception& error) {
    return answer_exception(caller, error);
  }
}

}  // namespace tutti::front

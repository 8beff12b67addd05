// group: calls that start together; and the way of every call into a communicator.
#include <algorithm>

#include "lib/api/entry.h"
#include "lib/base/per_thread.h"
#include "lib/base/thread.h"

namespace tutti {
namespace {

// Where a call is to run.
struct Place {
  tuttiComm_t comm;
  tuttiStream_t stream;
  bool operator==(const Place&) const = default;
};

struct Group {
  ~Group() { t_group_depth = 0; }  // the thread ends
  Status first_failure;
  std::vector<Call> calls;
  std::vector<Place> places;  // of the calls
  std::vector<Setup> setups;
  // Keeps the memory of calls and places for the next group.
  void clear() {
    first_failure = {};
    calls.clear();
    places.clear();
    setups.clear();
  }
};

// Never throws while the thread is in a group: tuttiGroupStart has made it.
Group& this_group() { return PerThread<Group>::get(); }

// Ends the other setups of the same communicator: they cannot finish without the one that has failed.
void tell_others(std::vector<Setup>& setups, const Setup& failed, const Status& failure) {
  for (const Setup& other : setups) {
    if (&other == &failed || !other.comm || other.id != failed.id) continue;
    if (const CommGuard comm(reinterpret_cast<tuttiComm_t>(other.handle)); comm) comm->end_joining(failure);
  }
}

// No exception may leave a thread.
void run_guarded(std::vector<Setup>& setups, Setup& setup) {
  try {
    setup.status = named(setup.function, setup.run(setup));
  } catch (const std::exception&) {
    setup.status = Status::out_of_memory();
    if (setup.drop) setup.drop(setup);
  }
  if (!setup.status.ok()) tell_others(setups, setup, setup.status);
}

// Every setup needs the others to make progress: one thread each.
Status run_setups(std::vector<Setup>& setups) {
  const DefaultFloatMode mode;
  if (setups.size() == 1) {
    run_guarded(setups, setups[0]);
    return setups[0].status;
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
  for (const Setup& setup : setups)
    if (!setup.status.ok()) return setup.status;
  return {};
}

// Calls on one communicator, now: like a single call.
Status run_here(tuttiComm_t handle, std::span<const Call> calls) {
  const CallGuard comm(handle);
  if (!comm) return bad_comm();
  if (!comm->ready()) return comm->refusal();
  return comm->run_in_turn(calls);
}

Status run_calls(Group& group) {
  const Place first = group.places[0];
  const auto is_first = [&](const Place& place) { return place == first; };
  if (!first.stream && std::all_of(group.places.begin(), group.places.end(), is_first)) return run_here(first.comm, group.calls);

  auto batch = std::make_shared<Batch>();
  std::vector<Stream*> streams;
  // In use until submitted: a handle may have been destroyed since the call was collected.
  std::vector<std::unique_ptr<CommGuard>> comms;
  std::vector<std::unique_ptr<StreamGuard>> stream_guards;
  for (size_t i = 0; i < group.calls.size(); ++i) {
    comms.push_back(std::make_unique<CommGuard>(group.places[i].comm));
    Comm* comm = comms.back()->get();
    if (!comm) return bad_comm();
    if (!comm->ready()) return comm->refusal();
    Stream* stream = nullptr;
    if (group.places[i].stream) {
      stream_guards.push_back(std::make_unique<StreamGuard>(group.places[i].stream));
      stream = stream_guards.back()->get();
      if (!stream) return bad_stream();
    }
    if (std::find(streams.begin(), streams.end(), stream) == streams.end()) streams.push_back(stream);
    auto part = std::find_if(batch->parts.begin(), batch->parts.end(), [&](const Part& p) { return p.comm == comm; });
    if (part == batch->parts.end()) part = batch->parts.insert(part, Part{comm, {}, 0});
    part->calls.push_back(std::move(group.calls[i]));
  }
  return submit(std::move(batch), streams);
}

}  // namespace

constinit thread_local int t_group_depth = 0;

Status noted_in_group(const char* function, Status status) noexcept {
  status = named(function, std::move(status));
  const bool failed = !status.ok() && status.code() != Code::InProgress;
  if (t_group_depth > 0 && failed && this_group().first_failure.ok()) this_group().first_failure = status;
  return status;
}

Status dispatch_later(tuttiComm_t comm, Comm& object, tuttiStream_t stream, Call&& call) {
  if (in_group()) {
    Group& group = this_group();
    group.places.resize(group.calls.size());  // one more may be left from when memory ran out
    group.places.push_back({comm, stream});
    group.calls.push_back(std::move(call));
    return {};
  }
  const StreamGuard guard(stream);
  if (!guard) return bad_stream();
  auto batch = std::make_shared<Batch>();
  batch->parts.push_back(Part{&object, {}, 0});
  batch->parts[0].calls.push_back(std::move(call));
  return submit(std::move(batch), {guard.get()});
}

Status dispatch(std::vector<Setup> setups) {
  if (!in_group()) return run_setups(setups);
  for (Setup& setup : setups) this_group().setups.push_back(std::move(setup));
  return {};
}

}  // namespace tutti

using namespace tutti;

extern "C" {

tuttiResult_t tuttiGroupStart(void) {
  return enter_call("tuttiGroupStart", []() -> Status {
    (void)this_group();
    ++t_group_depth;
    return {};
  });
}

tuttiResult_t tuttiGroupEnd(void) {
  return enter_call("tuttiGroupEnd", []() -> Status {
    if (t_group_depth == 0) return fail(Code::InvalidUsage, "tuttiGroupEnd without tuttiGroupStart");
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
    if (!group.setups.empty()) TUTTI_TRY(run_setups(group.setups));
    return group.calls.empty() ? Status() : run_calls(group);
  });
}

}  // extern "C"

// comm: the front's calls about communicators' lives.
#include <algorithm>
#include <cstring>

#include "lib/api/front/group.h"

namespace tutti::front {
namespace {

static_assert(kIdBytes == sizeof(UniqueId));

Status check_config(const Config& config, const Names& names) {
  if (config.wrong) return fail(Code::InvalidArgument, names.config, " ", config.wrong);
  if (config.blocking != Config::kUnset && config.blocking != 0 && config.blocking != 1)
    return fail(Code::InvalidArgument, names.blocking, " is ", config.blocking, ", not 0 or 1");
  if (config.timeout_ms != Config::kUnset && config.timeout_ms <= 0)
    return fail(Code::InvalidArgument, names.timeout, " is ", config.timeout_ms, ", not positive");
  return {};
}

// 0: unset.
double timeout_s(const Config& config) { return config.timeout_ms == Config::kUnset ? 0 : config.timeout_ms * 1e-3; }

Status bad_ranks(const char* name, int ranks) {
  return fail(Code::InvalidArgument, name, " is ", ranks, ", must be 1..", kMaxRanks);
}

// The settings of now, refused as a whole if one of them cannot be.
Result<Settings> load_settings() {
  Result<Settings> settings = Settings::load();
  if (!settings.ok()) return settings;
  if (Status status = Comm::check(settings.value()); !status.ok()) return status;
  return settings;
}

Result<CommHandle> enter_table(std::unique_ptr<Comm> comm) {
  const uintptr_t handle = comm_table().insert(comm.get());
  if (handle == 0) return fail(Code::InvalidUsage, "too many communicators in this process (", kMostComms, ")");
  (void)comm.release();
  return CommHandle{handle};
}

std::unique_ptr<Comm> leave_table(CommHandle handle, bool owes_end = false) {
  return std::unique_ptr<Comm>(comm_table().remove(number_of(handle), owes_end));
}

// Whether another thread has aborted the communicator. A thread whose call has failed for that may still destroy it, once.
bool ended_by_abort(CommHandle comm) { return comm_table().take_end(number_of(comm)); }

// The members of a child wait for one another. If one of them fails before it has joined them, only the parent can tell the others.
void fail_split(Comm& parent, const Status& failure) {
  const Status told = fail(failure.code(), "CommSplit of ", parent.title(), ": rank ", parent.rank(), ": ", failure.text());
  parent.fail_all(told.code(), parent.rank(), told.text());
}

// Ends and frees the communicator behind a handle that a failed setup has handed out.
void drop_init(Setup& setup) {
  const std::unique_ptr<Comm> comm = leave_table(setup.handle);
  write_handle(setup.out, 0);
}

// For the first rank of init_all(): no other process knows the id.
void drop_init_and_id(Setup& setup) {
  if (const CommGuard comm(setup.handle); comm) retire_unique_id(comm->settings(), comm->id());
  drop_init(setup);
}

Status run_init(Setup& setup) {
  Status status;
  {
    // The handle is out already: a watchdog may abort through it, but must not free it under this call.
    const CommGuard guard(setup.handle);
    if (setup.parent && guard) setup.parent->set_joining_child(guard.get());
    status = guard ? guard->init(false) : fail(Code::InvalidUsage, "the communicator was aborted while it was being made");
    if (setup.parent) setup.parent->set_joining_child(nullptr);
    if (setup.parent && !status.ok() && !(guard && guard->has_joined())) fail_split(*setup.parent, status);
  }
  if (!status.ok()) drop_init(setup);
  return status;
}

// Makes the object and its handle; the setup then joins the others.
Result<Setup> prepare_init(const Caller& caller, HandleOut out, CommOptions options, const Settings& settings) {
  Setup setup;
  setup.id = options.id;
  auto comm = std::make_unique<Comm>(std::move(options), settings);
  setup.caller = caller;
  setup.run = &run_init;
  setup.drop = &drop_init;
  setup.comm = comm.get();
  setup.out = out;
  Result<CommHandle> handle = enter_table(std::move(comm));
  if (!handle.ok()) return handle.status();
  setup.handle = handle.value();
  write_handle(out, number_of(setup.handle));
  return setup;
}

Status run_split(Setup& setup) {
  const CommGuard parent(setup.handle);
  if (!parent) return bad_comm(setup.caller);
  parent->wait_idle();
  Result<CommOptions> options = parent->split(setup.color, setup.key);
  if (!options.ok()) return options.status();
  if (options.value().ranks == 0) return {};
  if (setup.timeout_s > 0) options.value().timeout_s = setup.timeout_s;
  if (setup.blocking) options.value().blocking = *setup.blocking;
  if (!setup.name.empty()) options.value().name = setup.name;
  Result<Setup> child = prepare_init(setup.caller, setup.out, std::move(options.value()), parent->settings());
  if (!child.ok()) return child.status();
  child.value().parent = parent.get();
  return run_init(child.value());
}

// The caller sees the child's handle when the child is ready, and only if the parent has not failed.
Status run_split_in_background(Setup& setup) {
  const HandleOut out = setup.out;
  uintptr_t made = 0;
  setup.out = &made;
  Status status = run_split(setup);
  if (made == 0) return status;
  const CommGuard parent(setup.handle);
  if (status = parent ? parent->failure() : bad_comm(setup.caller); status.ok()) {
    write_handle(out, made);
    return status;
  }
  if (const CommGuard child(CommHandle{made}); child) {
    child->abort();
    (void)child->finalize(false);
  }
  (void)leave_table(CommHandle{made});
  return status;
}

void drop_split(Setup& setup) {
  if (const CommGuard parent(setup.handle); parent) fail_split(*parent.get(), setup.status);
}

Status check_init(HandleOut comm, int ranks, const void* id, int rank, const Config& config, const Names& names) {
  if (!comm) return null_argument(names.comm);
  write_handle(comm, 0);
  if (ranks < 1 || ranks > kMaxRanks) return bad_ranks(names.ranks, ranks);
  if (rank < 0 || rank >= ranks)
    return fail(Code::InvalidArgument, names.rank, " is ", rank, ", must be 0..", ranks - 1, " with ", names.ranks, " ", ranks);
  if (!id) return null_argument(names.id);
  return check_config(config, names);
}

Status check_init_all(HandleOut comms, int ranks, const int* devices, const Names& names) {
  if (!comms) return null_argument(names.comms);
  if (ranks < 1 || ranks > kMaxRanks) return bad_ranks(names.devices, ranks);
  for (int i = 0; devices && i < ranks; ++i)
    if (devices[i] < 0) return fail(Code::InvalidArgument, names.device_list, "[", i, "] is ", devices[i]);
  return {};
}

}  // namespace

Code get_unique_id(void* id, const Caller& caller) noexcept {
  return enter(caller, [&]() -> Status {
    if (!id) return null_argument(caller.door->names.id);
    Result<Settings> settings = load_settings();
    if (!settings.ok()) return settings.status();
    Result<UniqueId> made = make_unique_id(settings.value());
    if (!made.ok()) return made.status();
    std::memcpy(id, made.value().data(), kIdBytes);
    return {};
  });
}

Code init_rank(HandleOut comm, int ranks, const void* id, int rank, const Config& config, const Caller& caller) noexcept {
  return enter_noting(caller, [&]() -> Status {
    TUTTI_TRY(check_init(comm, ranks, id, rank, config, caller.door->names));
    Result<Settings> settings = load_settings();
    if (!settings.ok()) return settings.status();
    CommOptions options;
    std::memcpy(options.id.data(), id, kIdBytes);
    TUTTI_TRY(check_unique_id(options.id));
    options.alone_by_id = ranks == 1;
    options.rank = rank;
    options.ranks = ranks;
    options.timeout_s = timeout_s(config);
    if (config.name) options.name = config.name;
    options.blocking = config.blocking != 0;
    Result<Setup> setup = prepare_init(caller, comm, std::move(options), settings.value());
    if (!setup.ok()) return setup.status();
    if (config.blocking != 0) return dispatch({std::move(setup.value())});
    Status started = setup.value().comm->init(true);
    if (started.code() != Code::InProgress) drop_init(setup.value());
    return started;
  });
}

Code init_all(HandleOut comms, int ranks, const int* devices, const Caller& caller) noexcept {
  return enter_noting(caller, [&]() -> Status {
    TUTTI_TRY(check_init_all(comms, ranks, devices, caller.door->names));
    const auto out = [&](int rank) -> HandleOut { return static_cast<char*>(comms) + static_cast<size_t>(rank) * sizeof(uintptr_t); };
    for (int rank = 0; rank < ranks; ++rank) write_handle(out(rank), 0);
    Result<Settings> settings = load_settings();
    if (!settings.ok()) return settings.status();
    CommOptions options;
    options.ranks = ranks;
    options.by_init_all = true;
    if (ranks > 1) {
      Result<UniqueId> id = make_child_id(settings.value());  // no other process is meant: TUTTI_COMM_ID does not apply
      if (!id.ok()) return id.status();
      options.id = id.value();
    }
    std::vector<Setup> setups;
    for (int rank = 0; rank < ranks; ++rank) {
      options.rank = rank;
      Result<Setup> setup = prepare_init(caller, out(rank), options, settings.value());
      if (!setup.ok()) {
        for (Setup& made : setups) drop_init(made);
        if (ranks > 1) retire_unique_id(settings.value(), options.id);
        return setup.status();
      }
      setups.push_back(std::move(setup.value()));
    }
    if (ranks > 1) setups.front().drop = &drop_init_and_id;
    return dispatch(std::move(setups));
  });
}

Code split(CommHandle comm, int color, int key, HandleOut new_comm, const Config& config, const Caller& caller) noexcept {
  return enter_noting(caller, [&]() -> Status {
    const Names& names = caller.door->names;
    if (!new_comm) return null_argument(names.new_comm);
    write_handle(new_comm, 0);
    const CommGuard guard(comm);
    if (!guard) return bad_comm(caller);
    if (color < 0 && color != kNoColor)
      return fail(Code::InvalidArgument, names.color, " is ", color, ", must be >= 0 or ", caller.door->no_color);
    TUTTI_TRY(check_config(config, names));
    if (!guard->ready()) return guard->refusal();
    Setup setup;
    setup.caller = caller;
    setup.run = &run_split;
    setup.drop = &drop_split;
    setup.out = new_comm;
    setup.handle = comm;
    setup.color = color;
    setup.key = key;
    setup.timeout_s = timeout_s(config);
    if (config.blocking != Config::kUnset) setup.blocking = config.blocking != 0;
    if (config.name) setup.name = config.name;
    if (guard->blocking()) return dispatch({std::move(setup)});
    return guard->split_in_background([setup = std::move(setup)]() mutable { return run_split_in_background(setup); });
  });
}

Code finalize(CommHandle comm, const Caller& caller) noexcept {
  return enter_on(comm, caller, [&](Comm& object) -> Status {
    if (object.state().code() == Code::InProgress) return object.refusal();
    TUTTI_TRY(object.finalize(!object.blocking()));
    return object.state();
  });
}

Code destroy(CommHandle comm, const Caller& caller) noexcept {
  return enter(caller, [&]() -> Status {
    Status left;
    {
      const CommGuard guard(comm);
      if (!guard) return ended_by_abort(comm) ? Status() : bad_comm(caller);
      left = guard->end_background();
      Status also = guard->finalize(false);
      if (left.ok()) left = std::move(also);
    }
    // Null if another thread aborts the communicator and has removed it first.
    const std::unique_ptr<Comm> object = leave_table(comm);
    return left;
  });
}

Code abort(CommHandle comm, const Caller& caller) noexcept {
  return enter(caller, [&]() -> Status {
    {
      const CommGuard guard(comm);
      if (!guard) return ended_by_abort(comm) ? Status() : bad_comm(caller);
      guard->abort();
      (void)guard->finalize(false);
      remember_failure(comm, guard->state());
    }
    // Null if another thread destroys the communicator, because its call has failed, and has removed it first.
    const std::unique_ptr<Comm> object = leave_table(comm, true);
    return {};
  });
}

Code revoke(CommHandle comm, int flags, const Caller& caller) noexcept {
  return enter_on(comm, caller, [&](Comm& object) -> Status {
    if (flags != 0) return fail(Code::InvalidArgument, caller.door->names.revoke_flags, " is ", flags, ", must be 0");
    return object.revoke();
  });
}

Code get_count(CommHandle comm, int* count, const Caller& caller) noexcept {
  return enter_on(comm, caller, [&](Comm& object) -> Status {
    if (!count) return null_argument(caller.door->names.count);
    *count = object.ranks();
    return {};
  });
}

Code get_rank(CommHandle comm, int* rank, const Caller& caller) noexcept {
  return enter_on(comm, caller, [&](Comm& object) -> Status {
    if (!rank) return null_argument(caller.door->names.rank);
    *rank = object.rank();
    return {};
  });
}

Code get_async_error(CommHandle comm, Code* error, const Caller& caller) noexcept {
  return enter(caller, [&]() -> Status {
    const std::optional<Status> state = state_of(comm);
    if (!state) return bad_comm(caller);
    if (!error) return null_argument(caller.door->names.async_error);
    *error = state->code();
    return {};
  });
}

}  // namespace tutti::front

// comm_api: the C calls about communicators' lives.
#include <algorithm>
#include <cstring>

#include "lib/api/entry.h"

namespace tutti {
namespace {

// What of tuttiConfig_t concerns a Comm. Reads no further than the caller's struct reaches.
struct Config {
  bool blocking = true;
  double timeout_s = 0;
  std::string name;
};

Result<Config> read_config(const tuttiConfig_t* given) {
  Config config;
  if (!given) return config;
  tuttiConfig_t full = TUTTI_CONFIG_INITIALIZER;
  if (given->size < offsetof(tuttiConfig_t, blocking) || given->magic != TUTTI_CONFIG_MAGIC)
    return fail(Code::InvalidArgument, "config was not started from TUTTI_CONFIG_INITIALIZER");
  std::memcpy(&full, given, std::min(given->size, sizeof full));
  if (full.blocking != TUTTI_CONFIG_UNDEF_INT && full.blocking != 0 && full.blocking != 1)
    return fail(Code::InvalidArgument, "config->blocking is ", full.blocking, ", not 0 or 1");
  if (full.timeoutMs != TUTTI_CONFIG_UNDEF_INT && full.timeoutMs <= 0)
    return fail(Code::InvalidArgument, "config->timeoutMs is ", full.timeoutMs, ", not positive");
  config.blocking = full.blocking != 0;
  if (full.timeoutMs != TUTTI_CONFIG_UNDEF_INT) config.timeout_s = full.timeoutMs * 1e-3;
  if (full.commName) config.name = full.commName;
  return config;
}

// The settings of now, refused as a whole if one of them cannot be.
Result<Settings> load_settings() {
  Result<Settings> settings = Settings::load();
  if (!settings.ok()) return settings;
  if (Status status = Comm::check(settings.value()); !status.ok()) return status;
  return settings;
}

Result<tuttiComm_t> enter_table(std::unique_ptr<Comm> comm) {
  const uintptr_t handle = comm_handles().insert(comm.get());
  if (handle == 0) return fail(Code::InvalidUsage, "too many communicators in this process (16384)");
  (void)comm.release();
  return reinterpret_cast<tuttiComm_t>(handle);
}

// Ends and frees the communicator behind a handle that a failed setup has handed out.
void take_back(tuttiComm_t* out) {
  std::unique_ptr<Comm> comm(comm_handles().remove(reinterpret_cast<uintptr_t>(*out)));
  *out = nullptr;
}

// Whether another thread has aborted the communicator. A thread whose call has failed for that may still destroy it, once.
bool ended_by_abort(tuttiComm_t comm) { return comm_handles().take_end(reinterpret_cast<uintptr_t>(comm)); }

// The members of a child wait for one another. If one of them fails before it has joined them, only the parent can tell the others.
void fail_split(Comm& parent, const Status& failure) {
  const Status told = fail(failure.code(), "CommSplit of ", parent.title(), ": rank ", parent.rank(), ": ", failure.text());
  parent.fail_all(told.code(), parent.rank(), told.text());
}

Status run_init(Setup& setup) {
  Status status;
  {
    // The handle is out already: a watchdog may abort through it, but must not free it under this call.
    const CommGuard guard(reinterpret_cast<tuttiComm_t>(setup.handle));
    if (setup.parent && guard) setup.parent->set_joining_child(guard.get());
    status = guard ? guard->init() : fail(Code::InvalidUsage, "the communicator was aborted while it was being made");
    if (setup.parent) setup.parent->set_joining_child(nullptr);
    if (setup.parent && !status.ok() && !(guard && guard->has_joined())) fail_split(*setup.parent, status);
  }
  if (!status.ok()) take_back(setup.out);
  return status;
}

void drop_init(Setup& setup) { take_back(setup.out); }

// For the first rank of CommInitAll: no other process knows the id.
void drop_init_and_id(Setup& setup) {
  if (const CommGuard comm(*setup.out); comm) retire_unique_id(comm->settings(), comm->id());
  take_back(setup.out);
}

// Makes the object and its handle; the setup then joins the others.
Result<Setup> prepare_init(const char* function, tuttiComm_t* out, CommOptions options, const Settings& settings) {
  Setup setup;
  setup.id = options.id;
  auto comm = std::make_unique<Comm>(std::move(options), settings);
  setup.function = function;
  setup.run = &run_init;
  setup.drop = &drop_init;
  setup.comm = comm.get();
  setup.out = out;
  Result<tuttiComm_t> handle = enter_table(std::move(comm));
  if (!handle.ok()) return handle.status();
  *out = handle.value();
  setup.handle = reinterpret_cast<uintptr_t>(handle.value());
  return setup;
}

Status init_rank(const char* function, tuttiComm_t* comm, int nranks, const tuttiUniqueId& id, int rank,
                 const tuttiConfig_t* given) {
  if (!comm) return fail(Code::InvalidArgument, "comm is NULL");
  *comm = nullptr;
  if (nranks < 1 || nranks > kMaxRanks)
    return fail(Code::InvalidArgument, "nranks is ", nranks, ", must be 1..", kMaxRanks);
  if (rank < 0 || rank >= nranks)
    return fail(Code::InvalidArgument, "rank is ", rank, ", must be 0..", nranks - 1, " with nranks ", nranks);
  Result<Config> config = read_config(given);
  if (!config.ok()) return config.status();
  Result<Settings> settings = load_settings();
  if (!settings.ok()) return settings.status();
  CommOptions options;
  std::memcpy(options.id.data(), id.internal, sizeof id.internal);
  TUTTI_TRY(check_unique_id(options.id));
  options.alone_by_id = nranks == 1;
  options.rank = rank;
  options.ranks = nranks;
  options.timeout_s = config.value().timeout_s;
  options.name = config.value().name;
  Result<Setup> setup = prepare_init(function, comm, std::move(options), settings.value());
  if (!setup.ok()) return setup.status();
  if (config.value().blocking) return dispatch({std::move(setup.value())});
  if (Status started = setup.value().comm->init_in_background(); !started.ok()) {
    take_back(comm);
    return started;
  }
  return fail(Code::InProgress, "");
}

Status run_split(Setup& setup) {
  const CommGuard parent(reinterpret_cast<tuttiComm_t>(setup.handle));
  if (!parent) return bad_comm();
  parent->wait_idle();
  Result<CommOptions> options = parent->split(setup.color, setup.key);
  if (!options.ok()) return options.status();
  if (options.value().ranks == 0) return {};
  if (setup.timeout_s > 0) options.value().timeout_s = setup.timeout_s;
  if (!setup.name.empty()) options.value().name = setup.name;
  Result<Setup> child = prepare_init(setup.function, setup.out, std::move(options.value()), parent->settings());
  if (!child.ok()) return child.status();
  child.value().parent = parent.get();
  return run_init(child.value());
}

void drop_split(Setup& setup) {
  if (const CommGuard parent(reinterpret_cast<tuttiComm_t>(setup.handle)); parent) fail_split(*parent.get(), setup.status);
}

}  // namespace
}  // namespace tutti

using namespace tutti;

extern "C" {

tuttiResult_t tuttiGetUniqueId(tuttiUniqueId* uniqueId) {
  return enter("tuttiGetUniqueId", [&]() -> Status {
    if (!uniqueId) return fail(Code::InvalidArgument, "uniqueId is NULL");
    Result<Settings> settings = load_settings();
    if (!settings.ok()) return settings.status();
    Result<UniqueId> id = make_unique_id(settings.value());
    if (!id.ok()) return id.status();
    std::memcpy(uniqueId->internal, id.value().data(), id.value().size());
    return {};
  });
}

tuttiResult_t tuttiCommInitRank(tuttiComm_t* comm, int nranks, tuttiUniqueId commId, int rank) {
  const char* const function = "tuttiCommInitRank";
  return enter_noting(function, [&] { return init_rank(function, comm, nranks, commId, rank, nullptr); });
}

tuttiResult_t tuttiCommInitRankConfig(tuttiComm_t* comm, int nranks, tuttiUniqueId commId, int rank, tuttiConfig_t* config) {
  const char* const function = "tuttiCommInitRankConfig";
  return enter_noting(function, [&] { return init_rank(function, comm, nranks, commId, rank, config); });
}

tuttiResult_t tuttiCommInitAll(tuttiComm_t* comms, int ndev, const int* devlist) {
  return enter_noting("tuttiCommInitAll", [&]() -> Status {
    if (!comms) return fail(Code::InvalidArgument, "comms is NULL");
    if (ndev < 1 || ndev > kMaxRanks)
      return fail(Code::InvalidArgument, "ndev is ", ndev, ", must be 1..", kMaxRanks);
    for (int i = 0; devlist && i < ndev; ++i)
      if (devlist[i] < 0) return fail(Code::InvalidArgument, "devlist[", i, "] is ", devlist[i]);
    std::fill(comms, comms + ndev, nullptr);
    Result<Settings> settings = load_settings();
    if (!settings.ok()) return settings.status();
    CommOptions options;
    options.ranks = ndev;
    options.by_init_all = true;
    if (ndev > 1) {
      Result<UniqueId> id = make_child_id(settings.value());  // no other process is meant: TUTTI_COMM_ID does not apply
      if (!id.ok()) return id.status();
      options.id = id.value();
    }
    std::vector<Setup> setups;
    for (int rank = 0; rank < ndev; ++rank) {
      options.rank = rank;
      Result<Setup> setup = prepare_init("tuttiCommInitAll", &comms[rank], options, settings.value());
      if (!setup.ok()) {
        for (Setup& made : setups) take_back(made.out);
        if (ndev > 1) retire_unique_id(settings.value(), options.id);
        return setup.status();
      }
      setups.push_back(std::move(setup.value()));
    }
    if (ndev > 1) setups.front().drop = &drop_init_and_id;
    return dispatch(std::move(setups));
  });
}

tuttiResult_t tuttiCommSplit(tuttiComm_t comm, int color, int key, tuttiComm_t* newcomm, tuttiConfig_t* config) {
  return enter_noting("tuttiCommSplit", [&]() -> Status {
    if (!newcomm) return fail(Code::InvalidArgument, "newcomm is NULL");
    *newcomm = nullptr;
    const CommGuard guard(comm);
    if (!guard) return bad_comm();
    if (color < 0 && color != TUTTI_SPLIT_NOCOLOR)
      return fail(Code::InvalidArgument, "color is ", color, ", must be >= 0 or TUTTI_SPLIT_NOCOLOR");
    Result<Config> read = read_config(config);
    if (!read.ok()) return read.status();
    if (!guard->ready()) return guard->refusal();
    Setup setup;
    setup.function = "tuttiCommSplit";
    setup.run = &run_split;
    setup.drop = &drop_split;
    setup.out = newcomm;
    setup.handle = reinterpret_cast<uintptr_t>(comm);
    setup.color = color;
    setup.key = key;
    setup.timeout_s = read.value().timeout_s;
    setup.name = read.value().name;
    return dispatch({std::move(setup)});
  });
}

tuttiResult_t tuttiCommFinalize(tuttiComm_t comm) {
  return enter("tuttiCommFinalize", [&]() -> Status {
    const CommGuard guard(comm);
    if (!guard) return bad_comm();
    if (Status state = guard->state(); state.code() == Code::InProgress) return state;
    if (Status left = guard->finalize(); !left.ok()) return left;
    return guard->state();
  });
}

tuttiResult_t tuttiCommDestroy(tuttiComm_t comm) {
  return enter("tuttiCommDestroy", [&]() -> Status {
    Status left;
    {
      const CommGuard guard(comm);
      if (!guard) return ended_by_abort(comm) ? Status() : bad_comm();
      if (guard->state().code() == Code::InProgress) guard->abort();
      left = guard->finalize();
    }
    // Null if another thread aborts the communicator and has removed it first.
    const std::unique_ptr<Comm> object(comm_handles().remove(reinterpret_cast<uintptr_t>(comm)));
    return left;
  });
}

tuttiResult_t tuttiCommAbort(tuttiComm_t comm) {
  return enter("tuttiCommAbort", [&]() -> Status {
    {
      const CommGuard guard(comm);
      if (!guard) return ended_by_abort(comm) ? Status() : bad_comm();
      guard->abort();
      (void)guard->finalize();
      remember_failure(comm, guard->state());
    }
    // Null if another thread destroys the communicator, because its call has failed, and has removed it first.
    const std::unique_ptr<Comm> object(comm_handles().remove(reinterpret_cast<uintptr_t>(comm), true));
    return {};
  });
}

tuttiResult_t tuttiCommCount(tuttiComm_t comm, int* count) {
  return enter("tuttiCommCount", [&]() -> Status {
    const CommGuard guard(comm);
    if (!guard) return bad_comm();
    if (!count) return fail(Code::InvalidArgument, "count is NULL");
    *count = guard->ranks();
    return {};
  });
}

tuttiResult_t tuttiCommUserRank(tuttiComm_t comm, int* rank) {
  return enter("tuttiCommUserRank", [&]() -> Status {
    const CommGuard guard(comm);
    if (!guard) return bad_comm();
    if (!rank) return fail(Code::InvalidArgument, "rank is NULL");
    *rank = guard->rank();
    return {};
  });
}

tuttiResult_t tuttiCommGetAsyncError(tuttiComm_t comm, tuttiResult_t* asyncError) {
  return enter("tuttiCommGetAsyncError", [&]() -> Status {
    const CommGuard guard(comm);
    const std::optional<Status> past = guard ? std::nullopt : remembered_failure(comm);
    if (!guard && !past) return bad_comm();
    if (!asyncError) return fail(Code::InvalidArgument, "asyncError is NULL");
    *asyncError = static_cast<tuttiResult_t>(past ? past->code() : guard->state().code());
    return {};
  });
}

}  // extern "C"

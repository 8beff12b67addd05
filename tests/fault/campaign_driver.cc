// campaign_driver: goes through the steps, and makes and ends communicators; see campaign_driver.h. Calls are in campaign_calls.cc.
#include "tests/fault/campaign_driver.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <new>

#include "tests/fault/campaign_act.h"
#include "tests/harness/ranks.h"

namespace tutti::test::campaign {
namespace {

// "c3": the name that error texts give the communicator.
std::string comm_name(int comm) { return "c" + std::to_string(comm); }

tuttiConfig_t config_of(const std::string& name) {
  tuttiConfig_t config = TUTTI_CONFIG_INITIALIZER;
  config.commName = name.c_str();
  return config;
}

}  // namespace

Driver::Driver(const World& world, Log& log, int index)
    : world_(world), log_(log), own_(log.threads[index]), index_(index), plan_(world.drivers[static_cast<size_t>(index)]) {}

Driver::Inside::Inside(Driver& driver, const std::string& call) : driver_(driver) {
  put(driver.own_.call, call);
  driver.begin_ns_ = now_ns();
  driver.own_.call_since.store(driver.begin_ns_, std::memory_order_release);
}

void Driver::leave() {
  end_ns_ = now_ns();
  own_.call_since.store(0, std::memory_order_release);
}

void Driver::note(Event::What what, int comm, int rank, tuttiResult_t result, const std::string& text) {
  Event event{what, comm, rank, step_index_, result, begin_ns_, end_ns_, {}, {}};
  put(event.call, own_.call);
  put(event.text, text);
  own_.add(event);
}

void Driver::failed(int comm, int rank, tuttiResult_t result, const std::string& sentence) {
  if (failure_ == tuttiSuccess) failure_ = result;
  note(Event::What::Failed, comm, rank, result, sentence);
  if (sentence.find("injected by TUTTI_FAULT") == std::string::npos) return;
  for (size_t i = 0; i < world_.faults.size(); ++i)
    if (world_.faults[i].fate == Fate::Break) log_.faults[i].at_ns = end_ns_;
}

std::vector<int> Driver::ranks_in(int comm) const {
  std::vector<int> ranks;
  for (const int rank : plan_.ranks)
    if (handle(comm, rank)) ranks.push_back(rank);
  return ranks;
}

// ---- for other threads

void Driver::enter_step(int step) {
  step_index_ = step;
  own_.step.store(step);
  std::lock_guard lock(mutex_);
  at_step_ = step;
  changed_.notify_all();
}

bool Driver::wait_step(int step) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return at_step_ >= step || ended_; });
  return at_step_ >= step;
}

bool Driver::ended() {
  std::lock_guard lock(mutex_);
  return ended_;
}

void Driver::signal(int number) {
  std::lock_guard lock(mutex_);
  if (!ended_ && at_step_ >= 0) pthread_kill(thread_, number);
}

// ---- the steps

void Driver::live() {
  {
    std::lock_guard lock(mutex_);
    thread_ = pthread_self();
  }
  try {
    for (int step = 0; step < static_cast<int>(world_.steps.size()) && run(step); ++step) {
    }
  } catch (const std::bad_alloc&) {
    if (!world_.has(Fate::Memory)) note(Event::What::Broken, -1, -1, tuttiSuccess, "no memory");
  }
  // A limit holds for the whole process. It ends when the first thread winds up, so that all threads can come to their end.
  log_.limits_over[plan_.process] = true;
  for (const Fault& fault : world_.faults)
    if (world_.process_of(fault.rank) == plan_.process) undo(fault);
  try {
    wind_up();
  } catch (const Failure& failure) {
    note(Event::What::Broken, -1, -1, tuttiSuccess, failure.text);
  }
  std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
  own_.ended = true;
}

bool Driver::run(int index) {
  const Step& step = world_.steps[static_cast<size_t>(index)];
  enter_step(index);
  begin_faults(index);
  if (abort_instead(index)) return false;
  bool goes_on = false;
  switch (step.kind) {
    case Step::Kind::Init: goes_on = init(step); break;
    case Step::Kind::Split: goes_on = split(step); break;
    case Step::Kind::Finish: goes_on = finish(step); break;
    case Step::Kind::Calls: goes_on = calls(step, index); break;
  }
  end_faults(index);
  return goes_on;
}

// Carries out the faults that this thread does to itself before the step.
void Driver::begin_faults(int step) {
  for (size_t i = 0; i < world_.faults.size(); ++i) {
    const Fault& fault = world_.faults[i];
    const bool own = std::find(plan_.ranks.begin(), plan_.ranks.end(), fault.rank) != plan_.ranks.end();
    if (!own || fault.step != step || !happens_before_step(fault)) continue;
    act(world_, fault, log_.faults[i]);
    if (log_.limits_over[plan_.process]) undo(fault);
  }
}

void Driver::end_faults(int step) {
  for (const Fault& fault : world_.faults)
    if (fault.step == step && std::find(plan_.ranks.begin(), plan_.ranks.end(), fault.rank) != plan_.ranks.end()) undo(fault);
}

bool Driver::abort_instead(int step) {
  for (size_t i = 0; i < world_.faults.size(); ++i) {
    const Fault& fault = world_.faults[i];
    if (fault.fate != Fate::Abort || fault.step != step) continue;
    const int comm = world_.steps[static_cast<size_t>(step)].comm;
    const tuttiComm_t it = std::find(plan_.ranks.begin(), plan_.ranks.end(), fault.rank) == plan_.ranks.end() ? nullptr : handle(comm, fault.rank);
    if (!it) continue;
    usleep(static_cast<useconds_t>(fault.delay_us));
    log_.faults[i].at_ns = now_ns();
    end_one(comm, fault.rank, 0);
    return true;
  }
  return false;
}

// ---- making communicators

// Makes the id, or waits until its maker has made it. False: nobody will make it any more.
bool Driver::get_id(int comm, tuttiUniqueId* id) {
  const CommPlan& plan = world_.comm(comm);
  const bool makes = std::find(plan_.ranks.begin(), plan_.ranks.end(), plan.maker) != plan_.ranks.end();
  if (makes) {
    tuttiResult_t result;
    {
      const Inside inside(*this, "GetUniqueId");
      result = tuttiGetUniqueId(id);
    }
    if (result != tuttiSuccess) failed(comm, plan_.ranks[0], result, tuttiGetLastError(nullptr));
    log_.ids[comm] = *id;
    log_.id_made[comm].store(result == tuttiSuccess ? Log::kMade : Log::kCannotBeMade, std::memory_order_release);
    return result == tuttiSuccess;
  }
  const int process = plan.maker == kNoRank ? kMostRanks : world_.process_of(plan.maker);
  const ThreadLog* const maker = plan.maker == kNoRank ? nullptr : &log_.threads[world_.driver_of(plan.maker)];
  while (!log_.id_is_known(comm)) {
    if (log_.dead[process] || (maker && maker->ended) || (maker && log_.is_stopped(world_, process))) return false;
    usleep(200);
  }
  *id = log_.ids[comm];
  return log_.id_made[comm] == Log::kMade;
}

bool Driver::init(const Step& step) {
  tuttiUniqueId id;
  if (!get_id(step.comm, &id)) return false;
  return plan_.non_blocking ? init_in_background(step, id) : init_blocking(step, id);
}

bool Driver::init_blocking(const Step& step, const tuttiUniqueId& id) {
  const size_t number = plan_.ranks.size();
  std::vector<tuttiComm_t> made(number, nullptr);
  const std::string name = comm_name(step.comm);
  tuttiResult_t result = tuttiSuccess;
  {
    const Inside inside(*this, "CommInitRank of " + name);
    tuttiConfig_t config = config_of(name);
    if (number > 1) result = tuttiGroupStart();
    const bool in_group = number > 1 && result == tuttiSuccess;
    for (size_t i = 0; i < number && (in_group || number == 1); ++i) {
      const tuttiResult_t one = tuttiCommInitRankConfig(&made[i], world_.ranks, id, world_.place_in(step.comm, plan_.ranks[i]), &config);
      if (result == tuttiSuccess) result = one;
    }
    if (in_group) {
      const tuttiResult_t all = tuttiGroupEnd();
      if (result == tuttiSuccess) result = all;
    }
  }
  for (size_t i = 0; i < number; ++i) hold(step.comm, plan_.ranks[i], made[i]);
  if (result == tuttiSuccess) return true;
  failed(step.comm, plan_.ranks[0], result, tuttiGetLastError(nullptr));
  return false;
}

std::pair<tuttiResult_t, std::string> Driver::await(int comm, int rank) {
  const tuttiComm_t it = handle(comm, rank);
  tuttiResult_t state = tuttiInProgress, asked = tuttiSuccess;
  while ((asked = tuttiCommGetAsyncError(it, &state)) == tuttiSuccess && state == tuttiInProgress) usleep(300);
  if (asked == tuttiSuccess) return {state, tuttiGetLastError(it)};
  return {asked, tuttiGetLastError(nullptr)};
}

bool Driver::init_in_background(const Step& step, const tuttiUniqueId& id) {
  const std::string name = comm_name(step.comm);
  bool all = true;
  for (const int rank : plan_.ranks) {
    tuttiConfig_t config = config_of(name);
    config.blocking = 0;
    tuttiComm_t made = nullptr;
    tuttiResult_t result;
    {
      const Inside inside(*this, "CommInitRankConfig of " + name + ", which does not block");
      result = tuttiCommInitRankConfig(&made, world_.ranks, id, world_.place_in(step.comm, rank), &config);
    }
    hold(step.comm, rank, made);
    if (result == tuttiInProgress) continue;
    failed(step.comm, rank, result, tuttiGetLastError(nullptr));
    return false;
  }
  for (const int rank : plan_.ranks) {
    std::pair<tuttiResult_t, std::string> end;
    {
      const Inside inside(*this, "the init of " + name + " in the background");
      end = await(step.comm, rank);
    }
    if (end.first == tuttiSuccess) continue;
    failed(step.comm, rank, end.first, end.second);
    all = false;
  }
  return all;
}

bool Driver::split(const Step& step) {
  const std::vector<int> ranks = ranks_in(step.comm);
  if (ranks.empty()) return true;
  std::vector<tuttiComm_t> made(ranks.size(), nullptr);
  const auto child_of = [&](int rank) { return step.children[static_cast<size_t>(world_.place_in(step.comm, rank))]; };
  tuttiResult_t result = tuttiSuccess;
  std::string sentence;
  try {
    const Inside inside(*this, "CommSplit of " + comm_name(step.comm));
    drain();
    if (ranks.size() > 1) start_group();
    for (size_t i = 0; i < ranks.size() && result == tuttiSuccess; ++i) {
      const int child = child_of(ranks[i]);
      const std::string name = comm_name(std::max(child, 0));
      tuttiConfig_t config = config_of(name);
      result = tuttiCommSplit(handle(step.comm, ranks[i]), child < 0 ? TUTTI_SPLIT_NOCOLOR : child,
                              child < 0 ? 0 : world_.place_in(child, ranks[i]), &made[i], &config);
      if (result == tuttiInProgress && plan_.non_blocking) result = tuttiSuccess;
    }
    if (ranks.size() > 1)
      if (const tuttiResult_t all = tuttiGroupEnd(); result == tuttiSuccess) result = all;
    if (result != tuttiSuccess) sentence = tuttiGetLastError(nullptr);
    for (const int rank : ranks)
      if (const auto end = await(step.comm, rank); result == tuttiSuccess) std::tie(result, sentence) = end;
  } catch (const Failure& failure) {
    result = failure.result;
    sentence = tuttiGetLastError(nullptr);
  }
  for (size_t i = 0; i < ranks.size(); ++i) {
    const int child = child_of(ranks[i]);
    if (child >= 0) hold(child, ranks[i], made[i]);
    if (result != tuttiSuccess) continue;
    if ((child >= 0) != (made[i] != nullptr)) note(Event::What::Wrong, step.comm, ranks[i], result, "CommSplit gave a communicator, or none, against its color");
  }
  if (result == tuttiSuccess) return true;
  failed(step.comm, ranks[0], result, sentence);
  return false;
}

// ---- ending communicators

bool Driver::finish(const Step& step) {
  const std::vector<int> ranks = ranks_in(step.comm);
  if (ranks.empty()) return true;
  try {
    const Inside inside(*this, "StreamSynchronize");
    drain();
  } catch (const Failure& failure) {
    failed(step.comm, ranks[0], failure.result, tuttiGetLastError(nullptr));
    return false;
  }
  if (!check(pending_)) return false;
  pending_.clear();
  for (const int rank : ranks) end_one(step.comm, rank, 1 + hash(world_.seed, 0xe4d, static_cast<uint64_t>(step.comm * kMostRanks + rank)) % 2);
  return failure_ == tuttiSuccess;
}

// `way` 0: abort; 1: destroy; 2: finalize and destroy.
void Driver::end_one(int comm, int rank, uint64_t way) {
  const tuttiComm_t it = handle(comm, rank);
  const auto& aborted_ns = log_.aborted_ns[comm][rank];  // set if another thread aborts: then the handle may be invalid
  const bool was_aborted = aborted_ns > 0;
  Log::note_time((way == 0 ? log_.aborted_ns : log_.left_ns)[comm][rank]);
  const auto left = [&](tuttiResult_t result, const std::string& sentence) {
    if (result == tuttiSuccess) return;
    if (result != tuttiInvalidArgument)
      failed(comm, rank, result, sentence);
    else if (!was_aborted && (way == 0 || aborted_ns == 0))
      note(Event::What::Broken, comm, rank, result, sentence);
  };
  tuttiResult_t result = tuttiSuccess;
  if (way == 2) {
    tuttiResult_t state = tuttiSuccess;
    (void)tuttiCommGetAsyncError(it, &state);
    const bool joins = state == tuttiInProgress;  // init_in_background() has not waited for it, since another rank's init had failed
    std::string sentence;
    {
      const Inside inside(*this, "CommFinalize of " + comm_name(comm));
      result = tuttiCommFinalize(it);
      sentence = tuttiGetLastError(nullptr);
      if (result == tuttiInProgress && !joins && plan_.non_blocking) std::tie(result, sentence) = await(comm, rank);
    }
    if (result != tuttiInvalidUsage || !joins) left(result, sentence);
    way = 1;
  }
  {
    const Inside inside(*this, std::string(way == 0 ? "CommAbort of " : "CommDestroy of ") + comm_name(comm));
    result = way == 0 ? tuttiCommAbort(it) : tuttiCommDestroy(it);
  }
  left(result, tuttiGetLastError(nullptr));
  int ranks = 0;
  if (tuttiCommCount(it, &ranks) != tuttiInvalidArgument) note(Event::What::Broken, comm, rank, tuttiSuccess, "the communicator is still there");
  hold(comm, rank, nullptr);
}

void Driver::close_groups() {
  for (int depth = 0; depth < 4; ++depth)
    if (tuttiGroupEnd() == tuttiInvalidUsage && std::string(tuttiGetLastError(nullptr)).find("without") != std::string::npos) return;
}

void Driver::wind_up() {
  enter_step(static_cast<int>(world_.steps.size()));
  {
    const Inside inside(*this, "GroupEnd and StreamDestroy after a failure");
    close_groups();
    for (const auto& [number, it] : streams_) (void)tuttiStreamDestroy(it);
  }
  streams_.clear();
  for (Piece& piece : pending_) piece.part->remember();
  usleep(3000);
  for (const Piece& piece : pending_)
    if (const std::string changed = piece.part->changed(); !changed.empty())
      note(Event::What::Wrong, piece.comm, piece.rank, failure_, "after a failure: " + changed);
  Dice dice(world_.seed, 100 + static_cast<uint64_t>(index_));
  for (int comm = kMostComms - 1; comm >= 0; --comm)
    for (const int rank : plan_.ranks)
      if (handle(comm, rank)) end_one(comm, rank, dice.below(3));
  pending_.clear();
}

}  // namespace tutti::test::campaign

// campaign_process: see campaign_process.h.
#include "tests/fault/campaign_process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <latch>
#include <thread>

#include "tests/fault/campaign_act.h"
#include "tests/fault/campaign_driver.h"
#include "tests/fault/holdings.h"

namespace tutti::test::campaign {
namespace {

void nap(int64_t us) {
  if (us > 0) usleep(static_cast<useconds_t>(us));
}

// ---- faults during a step

// Aborts from another thread, as a program's watchdog would.
void abort_from_outside(Log& log, int driver, int comm, int rank, tuttiComm_t it) {
  Event event{Event::What::Broken, comm, rank, -1, tuttiSuccess, now_ns(), 0, "CommAbort by another thread", {}};
  Log::note_time(log.aborted_ns[comm][rank]);
  event.result = tuttiCommAbort(it);
  event.end_ns = now_ns();
  // InvalidArgument: the communicator's own thread has just ended it.
  if (event.result == tuttiSuccess || event.result == tuttiInvalidArgument) return;
  put(event.text, tuttiGetLastError(nullptr));
  log.beside[driver].add(event);
}

void abort_beside(Driver& driver, const World& world, Log& log, size_t index) {
  const Fault& fault = world.faults[index];
  const int comm = world.steps[static_cast<size_t>(fault.step)].comm;
  tuttiComm_t it = nullptr;
  while (!(it = driver.handle(comm, fault.rank))) {
    if (driver.ended() || log.left_ns[comm][fault.rank] > 0) return;
    usleep(50);
  }
  log.faults[index].at_ns = now_ns();
  abort_from_outside(log, world.driver_of(fault.rank), comm, fault.rank, it);
}

void storm(Driver& driver, const Fault& fault, FaultLog& log) {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  action.sa_flags = fault.variant == 1 ? SA_RESTART : 0;
  sigaction(SIGUSR1, &action, nullptr);
  log.at_ns = now_ns();
  while (!driver.ended()) {
    driver.signal(SIGUSR1);
    usleep(static_cast<useconds_t>(fault.amount));
  }
}

// The thread that carries out a fault during a step.
void trigger(Driver& driver, const World& world, Log& log, size_t index) {
  const Fault& fault = world.faults[index];
  if (!driver.wait_step(fault.step)) return;
  nap(fault.delay_us);
  switch (fault.fate) {
    case Fate::AbortBeside: return abort_beside(driver, world, log, index);
    case Fate::Signals: return storm(driver, fault, log.faults[index]);
    default: return act(world, fault, log.faults[index]);
  }
}

bool is_triggered(const Fault& fault) {
  if (fault.fate == Fate::AbortBeside || fault.fate == Fate::Signals) return true;
  const bool ends = fault.fate == Fate::Kill || fault.fate == Fate::Quit || fault.fate == Fate::Exit || fault.fate == Fate::Stop;
  return ends && !happens_before_step(fault);
}

// Aborts each communicator that has failed, once.
void watch(Driver& driver, Log& log, int index) {
  bool done[kMostComms][kMostRanks] = {};
  for (; !driver.ended(); usleep(1000))
    for (int comm = 0; comm < kMostComms; ++comm)
      for (const int rank : driver.plan().ranks) {
        const tuttiComm_t it = driver.handle(comm, rank);
        tuttiResult_t state = tuttiSuccess;
        if (!it || done[comm][rank] || tuttiCommGetAsyncError(it, &state) != tuttiSuccess || state == tuttiSuccess ||
            state == tuttiInProgress)
          continue;
        done[comm][rank] = true;
        abort_from_outside(log, index, comm, rank, it);
      }
}

// ---- what a process still holds

std::string thread_names() {
  std::string names, name;
  DIR* const open = opendir("/proc/self/task");
  while (const dirent* entry = open ? readdir(open) : nullptr) {
    std::ifstream file(std::string("/proc/self/task/") + entry->d_name + "/comm");
    if (std::getline(file, name)) names += " " + name;
  }
  if (open) closedir(open);
  return names;
}

// A failed rendezvous stays for a while, to tell late ranks why it failed.
bool lingers() { return thread_names().find("tutti-meet") != std::string::npos; }

// Logs a leak if the process holds more than before. In a world without descriptors threads have no names, and lingers() does not see the
// rendezvous: then this waits for the ten seconds that it stays.
void check_holdings(const Holdings& before, const World& world, ThreadLog& log) {
  if (!before.readable()) return;
  const Deadline deadline = Deadline::after_s(world.has(Fate::Descriptors) ? 13 : 3);
  for (Holdings now = Holdings::now(); now.readable() && !now.within(before) && !lingers(); now = Holdings::now()) {
    if (deadline.passed()) {
      Event event{Event::What::Leak, -1, -1, -1, tuttiSuccess, 0, 0, {}, {}};
      put(event.text, "left behind: " + now.text() + "; before: " + before.text() + "; threads:" + thread_names());
      return log.add(event);
    }
    usleep(2000);
  }
}

void set_environment(const World& world, int process) {
  for (const auto& [name, value] : world.settings) setenv(name.c_str(), value.c_str(), 1);
  for (const Fault& fault : world.faults)
    if (fault.fate == Fate::Break && world.process_of(fault.rank) == process)
      setenv("TUTTI_FAULT", ("break=" + std::to_string(fault.amount)).c_str(), 1);
}

}  // namespace

int run_process(const World& world, Log& log, int process) {
  set_environment(world, process);
  const auto own = [&](const Fault& fault) { return world.process_of(fault.rank) == process; };
  for (size_t i = 0; i < world.faults.size(); ++i)
    if (own(world.faults[i]) && world.faults[i].fate == Fate::Closed && world.faults[i].variant == 0) act(world, world.faults[i], log.faults[i]);
  std::thread([] {}).join();  // with the first thread a thread sanitizer starts one of its own
  const Holdings before = Holdings::now();

  // No thread begins before all threads are there: a fault may leave no memory to make one.
  std::latch all_there(1);
  std::deque<Driver> drivers;
  std::vector<std::thread> threads, others;
  std::vector<int> indices;
  for (size_t i = 0; i < world.drivers.size(); ++i) {
    if (world.drivers[i].process != process) continue;
    indices.push_back(static_cast<int>(i));
    drivers.emplace_back(world, log, static_cast<int>(i));
  }
  for (size_t k = 0; k < drivers.size(); ++k)
    if (drivers[k].plan().watched) others.emplace_back([&, k] { watch(drivers[k], log, indices[k]); });
  for (size_t i = 0; i < world.faults.size(); ++i) {
    if (!own(world.faults[i]) || !is_triggered(world.faults[i])) continue;
    const auto at = std::find(indices.begin(), indices.end(), world.driver_of(world.faults[i].rank)) - indices.begin();
    others.emplace_back([&, i, at] { trigger(drivers[static_cast<size_t>(at)], world, log, i); });
  }
  for (size_t k = 1; k < drivers.size(); ++k)
    threads.emplace_back([&, k] {
      all_there.wait();
      drivers[k].live();
    });
  all_there.count_down();
  drivers[0].live();
  for (std::thread& thread : threads) thread.join();
  for (std::thread& thread : others) thread.join();
  // A process that has made an id must not end before all have joined.
  while (!(world.early ? log.joined_all : log.over)) usleep(1000);
  drivers.clear();
  check_holdings(before, world, log.processes[process]);
  return 0;
}

int run_maker(const World& world, Log& log) {
  set_environment(world, -1);
  for (size_t comm = 0; comm < world.comms.size(); ++comm) {
    const CommPlan& plan = world.comms[comm];
    if (plan.parent >= 0 || plan.maker != kNoRank) continue;
    const tuttiResult_t result = tuttiGetUniqueId(&log.ids[comm]);
    log.id_made[comm].store(result == tuttiSuccess ? Log::kMade : Log::kCannotBeMade, std::memory_order_release);
  }
  for (size_t i = 0; i < world.faults.size(); ++i) {
    if (world.faults[i].fate != Fate::Maker) continue;
    nap(world.faults[i].delay_us);
    log.faults[i].at_ns = now_ns();
    kill(getpid(), SIGKILL);
  }
  while (!log.over) usleep(1000);
  return 0;
}

}  // namespace tutti::test::campaign

// campaign_act: see campaign_act.h.
#include "tests/fault/campaign_act.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace tutti::test::campaign {
namespace {

// The number that the next descriptor will get. Higher numbers may be in use.
int next_descriptor() {
  const int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(next);
  return next;
}

rlim_t address_space() {
  std::ifstream statm("/proc/self/statm");
  rlim_t pages = 0;
  statm >> pages;
  return pages * 4096;
}

void limit(__rlimit_resource_t resource, rlim_t value) {
  rlimit now{};
  getrlimit(resource, &now);
  now.rlim_cur = std::min(value, now.rlim_max);
  setrlimit(resource, &now);
}

void lift(__rlimit_resource_t resource) {
  rlimit now{};
  getrlimit(resource, &now);
  now.rlim_cur = now.rlim_max;
  setrlimit(resource, &now);
}

// Becomes a user that has no other process, so that only this process's threads count against the limit.
void limit_threads(const World& world, const Fault& fault) {
  const uid_t own = 100'000 + static_cast<uid_t>(hash(world.seed, static_cast<uint64_t>(getpid())) % 1'000'000);
  if (geteuid() == 0 && setuid(own) != 0) return;
  prctl(PR_SET_DUMPABLE, 1);
  rlim_t threads = 0;
  if (DIR* const open = opendir("/proc/self/task")) {
    while (readdir(open)) ++threads;
    closedir(open);
    threads -= 2;
  }
  limit(RLIMIT_NPROC, threads + static_cast<rlim_t>(fault.amount));
}

// The child of variant 0 lives on; 1: ends at once by _exit(); 2: becomes another program, which lives on; 3: ends at once by exit().
void fork_worker(const Fault& fault, FaultLog& log) {
  const pid_t worker = fork();
  if (worker > 0) {
    const bool ends = fault.variant == 1 || fault.variant == 3;
    if (ends) waitpid(worker, nullptr, 0);  // another process may get its pid
    if (!ends) log.worker = worker;
    return;
  }
  if (worker < 0) return;
  prctl(PR_SET_PDEATHSIG, 0);
  if (fault.variant == 1) _exit(0);
  if (fault.variant == 3) std::exit(0);
  if (fault.variant == 2) execl("/bin/sleep", "sleep", "600", nullptr);
  for (;;) pause();
}

}  // namespace

bool happens_before_step(const Fault& fault) {
  switch (fault.fate) {
    case Fate::Kill:
    case Fate::Quit:
    case Fate::Exit:
    case Fate::Stop: return fault.delay_us == 0;
    case Fate::Slow:
    case Fate::Descriptors:
    case Fate::Memory:
    case Fate::FileSize:
    case Fate::Threads:
    case Fate::Fork:
    case Fate::User: return true;
    case Fate::Closed: return fault.variant == 1;
    default: return false;
  }
}

void act(const World& world, const Fault& fault, FaultLog& log) {
  log.at_ns.store(now_ns());
  switch (fault.fate) {
    case Fate::Kill: kill(getpid(), SIGKILL); break;
    case Fate::Quit: _exit(kFaultExit);
    case Fate::Exit: std::exit(kFaultExit);
    case Fate::Stop: kill(getpid(), SIGSTOP); break;
    case Fate::Slow: usleep(static_cast<useconds_t>(fault.amount)); break;
    case Fate::Descriptors: limit(RLIMIT_NOFILE, static_cast<rlim_t>(next_descriptor() + fault.amount)); break;
    case Fate::Memory: limit(RLIMIT_AS, address_space() + static_cast<rlim_t>(fault.amount)); break;
    case Fate::FileSize: limit(RLIMIT_FSIZE, static_cast<rlim_t>(fault.amount)); break;
    case Fate::Threads: limit_threads(world, fault); break;
    case Fate::Fork: fork_worker(fault, log); break;
    case Fate::User:
      if (fault.variant & 1 && geteuid() == 0 && setuid(65534) != 0) break;
      if (fault.variant & 2) prctl(PR_SET_DUMPABLE, 0);
      break;
    case Fate::Closed:
      for (const int standard : {0, 1, 2}) close(standard);
      break;
    default: break;
  }
}

void undo(const Fault& fault) {
  switch (fault.fate) {
    case Fate::Descriptors: return lift(RLIMIT_NOFILE);
    case Fate::Memory: return lift(RLIMIT_AS);
    case Fate::FileSize: return lift(RLIMIT_FSIZE);
    case Fate::Threads: return lift(RLIMIT_NPROC);
    default: return;
  }
}

}  // namespace tutti::test::campaign

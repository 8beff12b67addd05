// campaign_run: see campaign_run.h.
#include "tests/fault/campaign_run.h"

#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <new>
#include <stdexcept>

#include "tests/fault/campaign_process.h"
#include "tests/fault/holdings.h"

namespace tutti::test::campaign {
namespace {

constexpr size_t kMostErrors = 64 * 1024;

std::shared_ptr<Log> make_log() {
  void* const memory = mmap(nullptr, sizeof(Log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return {static_cast<Log*>(memory), [](Log* log) { munmap(log, sizeof(Log)); }};  // a Log begins as zero bytes
}

std::string output_of(const std::string& command) {
  std::string text;
  FILE* const pipe = popen(command.c_str(), "r");
  char buffer[4096];
  for (size_t got; pipe && (got = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, got);
  if (pipe) pclose(pipe);
  return text;
}

// A process that crashes prints its stack to standard error, which the report quotes.
void show_crashes() {
  void* frames[1];
  backtrace(frames, 1);  // the first call loads a library
  struct sigaction action {};
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  action.sa_handler = [](int number) {
    rlimit memory{};
    getrlimit(RLIMIT_AS, &memory);
    memory.rlim_cur = memory.rlim_max;
    setrlimit(RLIMIT_AS, &memory);
    void* stack[40];
    backtrace_symbols_fd(stack, backtrace(stack, 40), 2);
    raise(number);
  };
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE}) sigaction(number, &action, nullptr);
}

// The number of runnable threads of the whole machine.
double runnable_threads() {
  std::ifstream file("/proc/loadavg");
  double average, threads = 0;
  file >> average >> average >> average >> threads;
  return threads;
}

class Runner {
 public:
  explicit Runner(World& world) : world_(world) { record_.log = make_log(); }
  Record run();

 private:
  void start(size_t process, const std::function<int()>& body);
  void read_errors(size_t process);
  bool reap();
  void let_go_on();
  void tell_when_over();
  bool find_hangs(int64_t now);
  void end_all();
  bool gone(int process) const { return record_.processes[static_cast<size_t>(process)].ended; }
  int64_t patience_ns() const;

  World& world_;
  Record record_;
  std::vector<int> pipes_;
  int64_t begin_ns_ = 0;
  int64_t idle_since_ns_[kMostRanks] = {};
};

void Runner::start(size_t process, const std::function<int()>& body) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw std::runtime_error("no pipe");
  const pid_t parent = getpid(), pid = fork();
  if (pid < 0) throw std::runtime_error("no process");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(9);
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(ends[1], 2);
    close(ends[0]);
    close(ends[1]);
    for (const int pipe : pipes_) close(pipe);
    show_crashes();
    const int code = body();
    if (world_.seed % 2) std::exit(code);  // most programs end by exit()
    _exit(code);
  }
  close(ends[1]);
  pipes_[process] = ends[0];
  record_.processes[process].pid = pid;
}

void Runner::read_errors(size_t process) {
  if (pipes_[process] < 0) return;
  std::string& errors = record_.processes[process].errors;
  char buffer[4096];
  for (ssize_t got; (got = read(pipes_[process], buffer, sizeof buffer)) > 0;)
    if (errors.size() < kMostErrors) errors.append(buffer, static_cast<size_t>(got));
}

// Collects processes that have ended. Returns whether only processes that are stopped for ever are left.
bool Runner::reap() {
  bool all = true;
  for (size_t i = 0; i < record_.processes.size(); ++i) {
    ProcessEnd& process = record_.processes[i];
    read_errors(i);
    if (process.pid < 0 || process.ended) continue;
    if (waitpid(process.pid, &process.status, WNOHANG) == process.pid) {
      process.ended = true;
      read_errors(i);
      record_.log->dead[i + 1 == record_.processes.size() ? kMostRanks : i] = true;
    } else if (!record_.log->is_stopped(world_, static_cast<int>(i))) {
      all = false;
    }
  }
  return all;
}

void Runner::let_go_on() {
  for (size_t i = 0; i < world_.faults.size(); ++i) {
    const Fault& fault = world_.faults[i];
    FaultLog& log = record_.log->faults[i];
    if (fault.fate != Fate::Stop || fault.amount < 0 || log.at_ns == 0 || log.until_ns > 0 || now_ns() < log.at_ns + fault.amount * 1000) continue;
    log.until_ns = now_ns();
    kill(record_.processes[static_cast<size_t>(world_.process_of(fault.rank))].pid, SIGCONT);
  }
}

void Runner::tell_when_over() {
  bool joined = true, over = true;
  for (size_t i = 0; i < world_.drivers.size(); ++i) {
    const ThreadLog& thread = record_.log->threads[i];
    if (thread.ended || gone(world_.drivers[i].process) || record_.log->is_stopped(world_, world_.drivers[i].process)) continue;
    over = false;
    joined = joined && thread.step > world_.last_joining_step();
  }
  if (joined) record_.log->joined_all = true;
  if (over) record_.log->over = true;
}

// The longest time that a call may take by the library's promises, with a margin for a busy machine.
int64_t Runner::patience_ns() const {
  double slow_s = 0;
  for (const Fault& fault : world_.faults)
    if (fault.fate == Fate::Slow || (fault.fate == Fate::Stop && fault.amount > 0)) slow_s += static_cast<double>(fault.amount) * 1e-6;
  return static_cast<int64_t>((std::max(world_.timeout_s + 5, world_.init_timeout_s + 5) + slow_s + 8) * 1e9);
}

bool Runner::find_hangs(int64_t now) {
  for (size_t i = 0; i < world_.drivers.size(); ++i) {
    const ThreadLog& thread = record_.log->threads[i];
    const int process = world_.drivers[i].process;
    int64_t& idle = idle_since_ns_[i];
    if (thread.ended || gone(process) || record_.log->is_stopped(world_, process)) continue;
    const int64_t since = thread.call_since;
    if (since > 0) idle = 0;
    else if (idle == 0) idle = now;
    // Outside of the library a driver waits for ids of other ranks, sleeps, or compares values.
    if (since > 0 ? now - since < patience_ns() : now - idle < 2 * patience_ns()) continue;
    Hang hang{static_cast<int>(i), since > 0 ? thread.call : "between calls", "", static_cast<double>(now - (since > 0 ? since : idle)) * 1e-9};
    hang.stack = output_of("gdb -p " + std::to_string(record_.processes[static_cast<size_t>(process)].pid) +
                                        " -batch -ex 'thread apply all bt 25' 2>/dev/null | grep -E '^(Thread|#)'");
    record_.hangs.push_back(hang);
  }
  // The world has to end, too, when all drivers have ended.
  if (record_.hangs.empty() && now - begin_ns_ > 12 * patience_ns()) record_.hangs.push_back({-1, "the world as a whole", "", static_cast<double>(now - begin_ns_) * 1e-9});
  return !record_.hangs.empty();
}

void Runner::end_all() {
  for (size_t i = 0; i < record_.processes.size(); ++i) {
    ProcessEnd& process = record_.processes[i];
    if (process.pid < 0) continue;
    if (!process.ended) {
      kill(process.pid, SIGKILL);
      waitpid(process.pid, &process.status, 0);
    }
    read_errors(i);
    close(pipes_[i]);
  }
  for (const FaultLog& fault : record_.log->faults)
    if (fault.worker > 0) kill(fault.worker, SIGKILL);
}

Record Runner::run() {
  const std::set<std::string> files = files_left();
  const size_t number = static_cast<size_t>(world_.processes);
  record_.processes.resize(number + 1);
  pipes_.assign(number + 1, -1);
  begin_ns_ = now_ns();
  if (world_.has_maker()) start(number, [&] { return run_maker(world_, *record_.log); });
  for (size_t i = 0; i < number; ++i) start(i, [&, i] { return run_process(world_, *record_.log, static_cast<int>(i)); });
  constexpr int64_t kLookNs = 3'000'000;
  int looks = 0;
  for (int64_t before = now_ns(); !reap();) {
    record_.runnable += (runnable_threads() - record_.runnable) / ++looks;
    let_go_on();
    tell_when_over();
    const int64_t now = now_ns();
    record_.lag_s = std::max(record_.lag_s, static_cast<double>(now - before - kLookNs) * 1e-9);
    before = now;
    if (find_hangs(now)) break;
    const timespec look{0, kLookNs};
    nanosleep(&look, nullptr);
  }
  end_all();
  record_.seconds = static_cast<double>(now_ns() - begin_ns_) * 1e-9;
  for (const std::string& file : files_left())
    if (files.count(file) == 0) record_.files.push_back(file);
  return record_;
}

}  // namespace

Record run_world(World& world) { return Runner(world).run(); }

}  // namespace tutti::test::campaign

// campaign_verdict: see campaign_verdict.h.
#include "tests/fault/campaign_verdict.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <sstream>

#include "tests/fault/campaign_act.h"
#include "tests/fault/campaign_truth.h"

namespace tutti::test::campaign {
namespace {

using What = Blame::What;

constexpr const char* kNames[] = {"hang", "crash", "in ucx", "data", "name", "late", "leak", "promise", "load"};
static_assert(std::size(kNames) == kWrongs);

// The machine counts as busy if the runner was paused for kBusyS, or if it has kBusyThreads runnable threads per core. Then ranks may have
// been paused as long.
constexpr double kBusyS = 0.25, kBusyThreads = 3;

constexpr double kNever = -1;
constexpr std::initializer_list<Fate> kLimits{Fate::Descriptors, Fate::Memory, Fate::FileSize, Fate::Threads};

std::string seconds_text(double seconds) {
  std::ostringstream out;
  out.precision(3);
  out << seconds << " s";
  return out.str();
}

bool contains(const std::string& text, const char* word) { return text.find(word) != std::string::npos; }

class Judge {
 public:
  Judge(const World& world, const Record& record) : world_(world), record_(record), log_(*record.log), truth_(world, record) {}
  std::vector<Finding> judge();

 private:
  void find(Wrong wrong, const std::string& text) { findings_.push_back({wrong, text}); }
  // A finding that may be due to a busy machine.
  void find_timed(Wrong wrong, const std::string& text) {
    const double cores = static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN));
    find(record_.lag_s > kBusyS || record_.runnable > kBusyThreads * cores ? Wrong::Load : wrong, text);
  }
  void judge_hangs();
  void judge_end(int process);
  void judge_thread(const ThreadLog& log, int driver);
  void judge_failure(const Event& event, int driver);
  void judge_limit(const Event& event, int driver, const std::vector<Blame>& blames);
  void judge_names(const Event& event, const std::vector<Blame>& blames);
  void judge_code(const Event& event, const std::vector<Blame>& blames);
  double lateness_s(const Event& event) const;
  bool expected_end(int process) const;
  std::string who(const Event& event, int driver) const;

  const World& world_;
  const Record& record_;
  const Log& log_;
  const Truth truth_;
  std::vector<Finding> findings_;
};

std::string Judge::who(const Event& event, int driver) const {
  std::ostringstream out;
  out << "thread " << driver << ", rank " << event.rank << ", c" << event.comm << ", step " << event.step << ", " << event.call << ": "
      << (event.result == tuttiSuccess ? "" : tuttiGetErrorString(event.result)) << (event.result == tuttiSuccess ? "" : ": ") << event.text;
  return out.str();
}

// ---- processes

void Judge::judge_hangs() {
  for (const Hang& hang : record_.hangs) {
    std::ostringstream out;
    out << "thread " << hang.driver << " (ranks";
    if (hang.driver >= 0)
      for (const int rank : world_.drivers[static_cast<size_t>(hang.driver)].ranks) out << ' ' << rank;
    out << ") for " << seconds_text(hang.seconds) << " in " << hang.call;
    if (hang.driver >= 0) out << ", step " << log_.threads[hang.driver].step;
    const bool in_ucx = world_.has(Fate::Memory) && contains(hang.stack, "libucs");  // UCX left a lock behind when it ran out of memory
    find_timed(in_ucx ? Wrong::InUcx : Wrong::Hang, out.str() + (hang.stack.empty() ? "" : "\n" + hang.stack));
  }
}

bool Judge::expected_end(int process) const {
  const ProcessEnd& end = record_.processes[static_cast<size_t>(process)];
  if (!end.ended || (WIFEXITED(end.status) && WEXITSTATUS(end.status) == 0)) return true;
  for (size_t i = 0; i < world_.faults.size(); ++i) {
    const Fault& fault = world_.faults[i];
    if (world_.process_of(fault.rank) != process || log_.faults[i].at_ns == 0) continue;
    if (fault.fate == Fate::Kill && WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGKILL) return true;
    if ((fault.fate == Fate::Quit || fault.fate == Fate::Exit) && WIFEXITED(end.status) && WEXITSTATUS(end.status) == kFaultExit) return true;
  }
  return false;
}

void Judge::judge_end(int process) {
  const ProcessEnd& end = record_.processes[static_cast<size_t>(process)];
  for (const char* word : {"ThreadSanitizer", "AddressSanitizer", "LeakSanitizer", "runtime error:"})
    if (contains(end.errors, word)) return find(Wrong::Crash, "process " + std::to_string(process) + ": " + end.errors.substr(end.errors.find(word), 3000));
  if (expected_end(process)) return;
  std::ostringstream out;
  out << "process " << process << " ended by ";
  if (WIFSIGNALED(end.status))
    out << "signal " << WTERMSIG(end.status) << " (" << strsignal(WTERMSIG(end.status)) << ')';
  else
    out << "exit code " << WEXITSTATUS(end.status);
  // Shows the output from the assertion on, or else its end, which holds the stack.
  constexpr size_t kShown = 2000;
  const std::string& errors = end.errors;
  const size_t assertion = std::min(errors.rfind("Assertion"), errors.rfind("Fatal"));
  const size_t last = errors.size() - std::min(errors.size(), kShown);
  out << ": " << errors.substr(assertion == std::string::npos ? last : assertion - std::min<size_t>(assertion, 200), kShown);
  const bool in_ucx = WIFSIGNALED(end.status) && world_.transport == "ucx" && contains(errors, "/libuc");
  find(in_ucx ? Wrong::InUcx : Wrong::Crash, out.str());
}

// ---- errors that ranks got

// How long the call went on after the death of a rank of its communicator; kNever: no such death counts.
double Judge::lateness_s(const Event& event) const {
  const std::vector<int>& members = world_.comm(event.comm).members;
  double late_s = kNever;
  for (const int rank : members) {
    const int64_t death_ns = truth_.died_at(world_.process_of(rank));
    if (death_ns <= 1 || death_ns > event.end_ns || !truth_.had_joined(event.comm, rank) || truth_.had_left(event.comm, rank, death_ns)) continue;
    // Deaths are not reported once the first rank has left.
    if (truth_.had_left(event.comm, members[0], event.end_ns)) continue;
    late_s = std::max(late_s, static_cast<double>(event.end_ns - std::max(death_ns, event.begin_ns)) * 1e-9);
  }
  return late_s;
}

void Judge::judge_names(const Event& event, const std::vector<Blame>& blames) {
  bool any = false;
  for (const Blame& blame : blames) {
    const bool so = truth_.is_so(blame, event);
    any = any || so;
    const bool grave = blame.what == What::Died || blame.what == What::Left || blame.what == What::Aborted || blame.what == What::Silent;
    if (so || !grave) continue;
    const std::string text = "what is said of rank " + std::to_string(blame.rank) + " is not so";
    return blame.what == What::Silent ? find_timed(Wrong::Name, text) : find(Wrong::Name, text);
  }
  if (!any) find_timed(Wrong::Name, blames.empty() ? "nobody is named" : "none of those named is to blame");
}

void Judge::judge_code(const Event& event, const std::vector<Blame>& blames) {
  tuttiResult_t right = tuttiRemoteError;
  for (const Blame& blame : blames)
    if (blame.what == What::Differs) right = tuttiInvalidUsage;
  const std::string text = event.text;
  const bool own_abort = contains(text, "was aborted on this rank"), vain = contains(text, "has left without receiving");
  const bool gathers = contains(text, "has left the communicator") && event.result == tuttiInvalidUsage;  // CommSplit after a rank has left
  if (own_abort || vain || gathers) right = tuttiInvalidUsage;
  if (event.result != right) find(Wrong::Promise, "it should be \"" + std::string(tuttiGetErrorString(right)) + '"');
}

// A call that failed because of a limit on this rank or on another.
void Judge::judge_limit(const Event& event, int driver, const std::vector<Blame>& blames) {
  const std::string text = event.text;
  const bool own = truth_.happened_to(world_.drivers[static_cast<size_t>(driver)].ranks[0], kLimits, event.end_ns);
  // UCX does not tell why it cannot open something.
  const bool named = contains(text, "ulimit") || contains(text, "out of memory") || contains(text, "Too many open files") || contains(text, "ucx: cannot");
  if (!named && own) return find(Wrong::Name, "the limit is not named");
  if (!own) judge_names(event, blames);
}

void Judge::judge_failure(const Event& event, int driver) {
  const std::string text = event.text;
  const size_t before = findings_.size();
  const std::vector<Blame> blames = blames_in(text);
  if (contains(text, "is not a communicator") && log_.aborted_ns[event.comm][event.rank] > 0) {
    // Right: another thread has aborted the communicator.
  } else if (event.result == tuttiInvalidArgument) {
    find(Wrong::Promise, "no argument is wrong");
  } else if (event.result == tuttiInternalError || event.result == tuttiInProgress || event.result == tuttiSuccess) {
    find(Wrong::Promise, "it must never be");
  } else if (event.result == tuttiSystemError) {
    if (truth_.happened(kLimits, event.end_ns))
      judge_limit(event, driver, blames);
    else
      find(Wrong::Promise, "nothing is wrong with the system");
  } else {
    judge_names(event, blames);
    judge_code(event, blames);
  }
  const double late_s = lateness_s(event), bound_s = ((world_.transport == "ucx" ? 3.5 : 2.0) + 3 * record_.lag_s);
  if (late_s > bound_s) find_timed(Wrong::Late, "told " + seconds_text(late_s) + " after a death");
  for (size_t i = before; i < findings_.size(); ++i) findings_[i].text += "\n      " + who(event, driver);
}

void Judge::judge_thread(const ThreadLog& log, int driver) {
  const int count = log.events.load(std::memory_order_acquire);
  const bool in_ucx_by_limit = world_.transport == "ucx" && truth_.happened(kLimits, now_ns());  // UCX leaves threads and files behind
  for (const Event* event = log.event; event != log.event + count; ++event) {
    switch (event->what) {
      case Event::What::Failed: judge_failure(*event, driver); break;
      case Event::What::Wrong: find(Wrong::Data, who(*event, driver)); break;
      case Event::What::Broken: find(Wrong::Promise, who(*event, driver)); break;
      case Event::What::Leak: find(in_ucx_by_limit ? Wrong::InUcx : Wrong::Leak, "process " + std::to_string(driver) + ": " + event->text); break;
    }
  }
}

std::vector<Finding> Judge::judge() {
  judge_hangs();
  for (int process = 0; process < world_.processes; ++process) judge_end(process);
  for (int driver = 0; driver < static_cast<int>(world_.drivers.size()); ++driver) {
    judge_thread(log_.threads[driver], driver);
    judge_thread(log_.beside[driver], driver);
  }
  for (int process = 0; process < world_.processes; ++process) judge_thread(log_.processes[process], process);
  for (const std::string& file : record_.files) find(Wrong::Leak, "a file: " + file);
  return findings_;
}

}  // namespace

const char* name_of(Wrong wrong) { return kNames[static_cast<size_t>(wrong)]; }

std::vector<Finding> judge(const World& world, const Record& record) { return Judge(world, record).judge(); }

}  // namespace tutti::test::campaign

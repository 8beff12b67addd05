// campaign: runs many small worlds, drawn from seeds, with a fault injected into each. Counts where the library broke its promises.
//
//   campaign --transport shm                                       100 worlds from seed 1, two at once
//   campaign --transport ucx --worlds 5000 --seed 7000 --jobs 8
//   campaign --transport shm --worlds 1 --seed 4711 --kind kill    repeats one world of a report; --describe prints it
//
// World k of a run has the seed --seed + k. Each world has a process of its own, which runs the ranks' processes and judges them.
// Exit code 1 if the library was wrong anywhere, or if too few faults happened or were reported for the run to mean anything.
#include <getopt.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <map>
#include <sstream>

#include "tests/fault/campaign_verdict.h"

using namespace tutti::test::campaign;

namespace {

struct Options {
  uint64_t seed = 1;
  int worlds = 100, jobs = 2;
  std::string transport = "shm";
  std::optional<Fate> kind;
  bool describe = false;
  bool ucx_may_fail = false;  // a process that UCX's own assertions end is counted, but is no failure
};

// The result of a world, in memory shared by its process and the campaign.
struct Slot {
  bool done, fired;  // fired: all of its faults happened
  int told;          // failures that were reported to ranks
  int wrongs[kWrongs];
  double seconds;
  char report[32 * 1024];
};

struct Row {
  int worlds = 0, fired = 0, told = 0;
  double seconds = 0;
  std::array<int, kWrongs> wrongs{};
};

[[noreturn]] void usage(int code) {
  std::ostream& out = code == 0 ? std::cout : std::cerr;
  out << "campaign [--transport shm|ucx] [--worlds N] [--seed N] [--jobs N] [--ucx-may-fail] [--describe] [--kind K]; K is one of";
  for (int fate = 0; fate < kFates; ++fate) out << ' ' << name_of(static_cast<Fate>(fate));
  out << '\n';
  std::exit(code);
}

Options read_options(int count, char** words) {
  Options options;
  const option known[] = {{"worlds", 1, nullptr, 'w'}, {"seed", 1, nullptr, 's'}, {"transport", 1, nullptr, 't'},
                          {"kind", 1, nullptr, 'k'},   {"jobs", 1, nullptr, 'j'}, {"describe", 0, nullptr, 'd'},
                          {"help", 0, nullptr, 'h'},   {"ucx-may-fail", 0, nullptr, 'u'}, {nullptr, 0, nullptr, 0}};
  for (int letter; (letter = getopt_long(count, words, "", known, nullptr)) != -1;) {
    switch (letter) {
      case 'w': options.worlds = std::atoi(optarg); break;
      case 's': options.seed = std::strtoull(optarg, nullptr, 10); break;
      case 't': options.transport = optarg; break;
      case 'j': options.jobs = std::max(1, std::atoi(optarg)); break;
      case 'd': options.describe = true; break;
      case 'u': options.ucx_may_fail = true; break;
      case 'k':
        if (!(options.kind = fate_of(optarg))) usage(2);
        break;
      default: usage(letter == 'h' ? 0 : 2);
    }
  }
  if (optind < count || (options.transport != "shm" && options.transport != "ucx")) usage(2);
  return options;
}

Fate fate_in(const Options& options, uint64_t seed) { return options.kind ? *options.kind : draw_fate(seed); }

// ---- one world, in a process of its own

void print_failures(const Log& log) {
  for (const ThreadLog& thread : log.threads) {
    for (int i = 0; i < thread.events; ++i) {
      const Event& event = thread.event[i];
      std::cout << "  thread " << &thread - log.threads << ", step " << event.step << ", " << event.call << ", after "
                << static_cast<double>(event.end_ns - event.begin_ns) * 1e-9 << " s: " << event.text << '\n';
    }
  }
  std::cout.flush();
}

void live_through(const Options& options, uint64_t seed, Slot& slot) {
  World world = draw_world(seed, options.transport, fate_in(options, seed));
  if (options.describe) std::cout << describe(world) << std::flush;
  const Record record = run_world(world);
  const std::vector<Finding> findings = judge(world, record);
  if (options.describe) print_failures(*record.log);

  slot.fired = true;
  for (size_t i = 0; i < world.faults.size(); ++i) slot.fired = slot.fired && record.log->faults[i].at_ns > 0;
  for (const ThreadLog& thread : record.log->threads)
    for (int i = 0; i < thread.events; ++i) slot.told += thread.event[i].what == Event::What::Failed;
  slot.seconds = record.seconds;
  std::ostringstream report;
  if (!findings.empty()) {
    report << "  campaign --transport " << world.transport << " --worlds 1 --seed " << seed << " --kind " << name_of(world.kind)
           << "\n";
    for (const Fault& fault : world.faults) report << "    fault: " << describe(fault) << '\n';
  }
  for (const Finding& finding : findings) {
    ++slot.wrongs[static_cast<size_t>(finding.wrong)];
    report << "    " << name_of(finding.wrong) << ": " << finding.text << '\n';
  }
  put(slot.report, report.str());
  slot.done = true;
}

// ---- all worlds

class Campaign {
 public:
  explicit Campaign(const Options& options) : options_(options) {
    void* const memory = mmap(nullptr, sizeof(Slot) * static_cast<size_t>(options.jobs), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::exit(3);
    slots_ = static_cast<Slot*>(memory);
    for (int slot = 0; slot < options.jobs; ++slot) free_.push_back(slot);
  }
  int run();

 private:
  struct Running {
    int slot;
    uint64_t seed;
  };
  void start(uint64_t seed);
  void take_one();
  bool print_table() const;

  const Options options_;
  Slot* slots_;
  std::vector<int> free_;
  std::map<pid_t, Running> running_;
  std::map<Fate, Row> rows_;
  bool failed_ = false;
};

void Campaign::start(uint64_t seed) {
  const int index = free_.back();
  free_.pop_back();
  slots_[index] = {};
  const pid_t parent = getpid(), pid = fork();
  if (pid < 0) std::exit(3);
  if (pid > 0) {
    running_[pid] = {index, seed};
    return;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(9);
  live_through(options_, seed, slots_[index]);
  _exit(0);
}

void Campaign::take_one() {
  int status = 0;
  const auto ended = running_.find(waitpid(-1, &status, 0));
  if (ended == running_.end()) return;
  const auto [index, seed] = ended->second;
  running_.erase(ended);
  free_.push_back(index);
  const Slot& slot = slots_[index];
  Row& row = rows_[fate_in(options_, seed)];
  ++row.worlds;
  row.fired += slot.fired;
  row.told += slot.told > 0;
  row.seconds += slot.seconds;
  for (size_t i = 0; i < kWrongs; ++i) {
    row.wrongs[i] += slot.wrongs[i] > 0;
    const Wrong wrong = static_cast<Wrong>(i);
    const bool pardoned = wrong == Wrong::Load || (wrong == Wrong::InUcx && options_.ucx_may_fail);
    failed_ = failed_ || (slot.wrongs[i] > 0 && !pardoned);
  }
  if (!slot.done) std::cout << "  the process of world " << seed << " ended with status " << status << '\n';
  failed_ = failed_ || !slot.done;
  std::cout << slot.report << std::flush;
}

// False: in most worlds nothing happened.
bool Campaign::print_table() const {
  std::cout << "fault         worlds  fired   told  s each";
  for (int i = 0; i < kWrongs; ++i) std::cout << std::setw(10) << name_of(static_cast<Wrong>(i));
  std::cout << '\n';
  const auto print = [](const char* name, const Row& row) {
    std::cout << std::left << std::setw(13) << name << std::right << std::setw(7) << row.worlds << std::setw(7) << row.fired
              << std::setw(7) << row.told << std::setw(8) << std::fixed << std::setprecision(1) << row.seconds / row.worlds;
    for (const int count : row.wrongs) std::cout << std::setw(10) << count;
    std::cout << '\n';
  };
  Row all;
  for (const auto& [fate, row] : rows_) {
    print(name_of(fate), row);
    all.worlds += row.worlds;
    all.fired += row.fired;
    all.told += row.told;
    all.seconds += row.seconds;
    for (size_t i = 0; i < kWrongs; ++i) all.wrongs[i] += row.wrongs[i];
  }
  print("all", all);
  return all.worlds < 50 || options_.kind || (all.fired > all.worlds / 2 && all.told > all.worlds / 3);
}

int Campaign::run() {
  std::cout << "campaign: " << options_.worlds << " worlds from seed " << options_.seed << " over " << options_.transport
            << std::endl;
  for (int started = 0; started < options_.worlds; ++started) {
    if (free_.empty()) take_one();
    start(options_.seed + static_cast<uint64_t>(started));
  }
  while (!running_.empty()) take_one();
  if (!print_table()) {
    std::cout << "too few faults happened or were reported: the run shows nothing\n";
    failed_ = true;
  }
  return failed_ ? 1 : 0;
}

}  // namespace

int main(int count, char** words) { return Campaign(read_options(count, words)).run(); }

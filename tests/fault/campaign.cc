// campaign: many small worlds with something wrong in each, drawn from a seed; counts what was not as promised.
//
//   campaign                                        150 worlds from a fresh seed, or from FAULT_SEED
//   campaign --worlds 5000 --transport shm --jobs 8
//   campaign --seed 4711 --worlds 1 --transport ucx --kind kill    repeats one world, as the report says; --describe: shows it
//
// World k of a run has the seed --seed + k. Each runs in a process of its own, which runs the ranks' processes and judges them. Exit
// code 1 if anything was wrong for which the library is to blame.
#include <getopt.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <map>
#include <random>
#include <sstream>

#include "tests/fault/campaign_verdict.h"

using namespace tutti::test::campaign;

namespace {

struct Options {
  uint64_t seed = 0;
  int worlds = 150, jobs = 2;
  std::string transport = "any";
  std::optional<Fate> kind;
  double slowness = 1;
  bool keep_going = false, describe = false, stacks = false;
};

// What a world's process tells.
struct Slot {
  pid_t pid;
  uint64_t seed;
  int fate;
  bool done, fired;
  int told;  // failures that ranks were told of
  int wrongs[kWrongs];
  double seconds, lag_s;
  char report[32 * 1024];
};

struct Row {
  int worlds = 0, fired = 0, told = 0;
  std::array<int, kWrongs> wrongs{};
};

[[noreturn]] void usage(int code) {
  std::ostream& out = code == 0 ? std::cout : std::cerr;
  out << "campaign: worlds of ranks with something wrong in each\n"
         "  --worlds N         so many (150)\n"
         "  --seed N           of the first one; the next has N+1. Else FAULT_SEED, else a fresh one\n"
         "  --transport NAME   shm, ucx, or any (drawn for each)\n"
         "  --kind NAME        only such faults:";
  for (int fate = 0; fate < kFates; ++fate) out << ' ' << name_of(static_cast<Fate>(fate));
  out << "\n"
         "  --jobs N           worlds at once (2)\n"
         "  --slow X           all bounds of time, timeouts too, times X, for a busy machine (1, or FAULT_SLOW)\n"
         "  --keep-going       do not stop at the first world in which something is wrong\n"
         "  --describe         show each world before it runs\n"
         "  --stacks           ask gdb where the threads of a hang are\n";
  std::exit(code);
}

Options read_options(int count, char** words) {
  Options options;
  const char* const seed = std::getenv("FAULT_SEED");
  const char* const slow = std::getenv("FAULT_SLOW");
  options.seed = seed ? std::strtoull(seed, nullptr, 10) : std::random_device()() % 1'000'000'000;
  if (slow) options.slowness = std::atof(slow);
  const option known[] = {{"worlds", 1, nullptr, 'w'},   {"seed", 1, nullptr, 's'}, {"transport", 1, nullptr, 't'}, {"kind", 1, nullptr, 'k'},
                          {"jobs", 1, nullptr, 'j'},     {"slow", 1, nullptr, 'x'}, {"keep-going", 0, nullptr, 'g'}, {"describe", 0, nullptr, 'd'},
                          {"stacks", 0, nullptr, 'b'},   {"help", 0, nullptr, 'h'}, {nullptr, 0, nullptr, 0}};
  for (int letter; (letter = getopt_long(count, words, "", known, nullptr)) != -1;) {
    switch (letter) {
      case 'w': options.worlds = std::atoi(optarg); break;
      case 's': options.seed = std::strtoull(optarg, nullptr, 10); break;
      case 't': options.transport = optarg; break;
      case 'k':
        options.kind = fate_of(optarg);
        if (!options.kind) usage(2);
        break;
      case 'j': options.jobs = std::max(1, std::atoi(optarg)); break;
      case 'x': options.slowness = std::atof(optarg); break;
      case 'g': options.keep_going = true; break;
      case 'd': options.describe = true; break;
      case 'b': options.stacks = true; break;
      default: usage(letter == 'h' ? 0 : 2);
    }
  }
  if (optind < count || options.slowness < 0.1 || (options.transport != "any" && options.transport != "shm" && options.transport != "ucx")) usage(2);
  return options;
}

// ---- one world, in a process of its own

void live_through(const Options& options, Slot& slot) {
  Dice dice(slot.seed, 6);
  const bool by_ucx = dice.chance(30);
  const std::string transport = options.transport != "any" ? options.transport : by_ucx ? "ucx" : "shm";
  World world = draw_world(slot.seed, transport, options.kind ? *options.kind : draw_fate(slot.seed), options.slowness);
  slot.fate = static_cast<int>(world.kind);
  const std::string shown = describe(world);
  if (options.describe) std::cout << shown << std::flush;
  const Record record = run_world(world, options.stacks);
  const std::vector<Finding> findings = judge(world, record);

  for (size_t i = 0; i < world.faults.size(); ++i) slot.fired = slot.fired || record.log->faults[i].at_ns > 0;
  for (const ThreadLog& thread : record.log->threads)
    for (int i = 0; i < thread.events; ++i) slot.told += thread.event[i].what == Event::What::Failed;
  slot.seconds = record.seconds;
  slot.lag_s = record.lag_s;
  std::ostringstream report;
  for (const Finding& finding : findings) {
    ++slot.wrongs[static_cast<size_t>(finding.wrong)];
    report << "    " << name_of(finding.wrong) << ": " << finding.text << '\n';
  }
  if (!findings.empty())
    put(slot.report, "  campaign --seed " + std::to_string(world.seed) + " --worlds 1 --transport " + transport + " --kind " + name_of(world.kind) + "\n" +
                         (world.faults.empty() ? "" : "    fault: " + describe(world.faults[0]) + (world.faults.size() > 1 ? "; " + describe(world.faults[1]) : "") + "\n") +
                         report.str());
  if (options.describe)
    for (const ThreadLog& thread : record.log->threads)
      for (int i = 0; i < thread.events; ++i)
        if (thread.event[i].what == Event::What::Failed)
          std::cout << "  thread " << &thread - record.log->threads << ", step " << thread.event[i].step << ", " << thread.event[i].call << ", after "
                    << static_cast<double>(thread.event[i].end_ns - thread.event[i].begin_ns) * 1e-9 << " s: " << thread.event[i].text << '\n';
  slot.done = true;
}

// ---- all of them

class Campaign {
 public:
  explicit Campaign(const Options& options) : options_(options) {
    void* const memory = mmap(nullptr, sizeof(Slot) * static_cast<size_t>(options.jobs), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::exit(3);
    slots_ = static_cast<Slot*>(memory);
  }
  int run();

 private:
  void start(Slot& slot, uint64_t seed);
  void take(Slot& slot, int status);
  void print_table() const;

  const Options options_;
  Slot* slots_;
  std::map<int, Row> rows_;
  bool failed_ = false;
};

void Campaign::start(Slot& slot, uint64_t seed) {
  slot = {};
  slot.seed = seed;
  std::cout.flush();
  const pid_t parent = getpid();
  slot.pid = fork();
  if (slot.pid != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(9);
  live_through(options_, slot);
  _exit(0);
}

void Campaign::take(Slot& slot, int status) {
  Row& row = rows_[slot.fate];
  ++row.worlds;
  row.fired += slot.fired;
  row.told += slot.told > 0;
  for (size_t i = 0; i < kWrongs; ++i) {
    row.wrongs[i] += slot.wrongs[i] > 0;
    failed_ = failed_ || (slot.wrongs[i] > 0 && fails(static_cast<Wrong>(i)));
  }
  if (!slot.done) {
    std::cout << "  the process of world " << slot.seed << " ended with status " << status << '\n';
    failed_ = true;
  }
  if (slot.report[0]) std::cout << slot.report << "    (" << slot.seconds << " s, the machine paused for " << slot.lag_s << " s)\n" << std::flush;
  slot.pid = 0;
}

void Campaign::print_table() const {
  std::cout << std::left << std::setw(14) << "fault" << std::right << std::setw(8) << "worlds" << std::setw(8) << "done" << std::setw(8) << "told";
  for (int i = 0; i < kWrongs; ++i) std::cout << std::setw(12) << name_of(static_cast<Wrong>(i));
  std::cout << '\n';
  Row all;
  const auto print = [](const char* name, const Row& row) {
    std::cout << std::left << std::setw(14) << name << std::right << std::setw(8) << row.worlds << std::setw(8) << row.fired << std::setw(8) << row.told;
    for (const int count : row.wrongs) std::cout << std::setw(12) << count;
    std::cout << '\n';
  };
  for (const auto& [fate, row] : rows_) {
    print(name_of(static_cast<Fate>(fate)), row);
    all.worlds += row.worlds;
    all.fired += row.fired;
    all.told += row.told;
    for (size_t i = 0; i < kWrongs; ++i) all.wrongs[i] += row.wrongs[i];
  }
  print("all", all);
}

int Campaign::run() {
  std::cout << "campaign: " << options_.worlds << " worlds from seed " << options_.seed << " over " << options_.transport << '\n';
  int started = 0, running = 0;
  while (running > 0 || (started < options_.worlds && (options_.keep_going || !failed_))) {
    for (int i = 0; i < options_.jobs; ++i) {
      if (slots_[i].pid != 0 || started == options_.worlds || (failed_ && !options_.keep_going)) continue;
      start(slots_[i], options_.seed + static_cast<uint64_t>(started++));
      ++running;
    }
    int status = 0;
    const pid_t ended = waitpid(-1, &status, 0);
    for (int i = 0; i < options_.jobs; ++i) {
      if (slots_[i].pid != ended || ended <= 0) continue;
      take(slots_[i], status);
      --running;
    }
  }
  print_table();
  return failed_ ? 1 : 0;
}

}  // namespace

int main(int count, char** words) {
  const Options options = read_options(count, words);
  return Campaign(options).run();
}

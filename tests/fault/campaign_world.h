// campaign_world: a world as data: ranks and where they live, settings, the calls that all ranks make, and what goes wrong.
//
// All of it is a function of a seed, a transport and a kind of fault, so that these three repeat a world. Nothing is run here.
// Ranks are numbered in the world; a communicator lists its ranks in its own order.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/harness/cases.h"

namespace tutti::test::campaign {

constexpr int kMostRanks = 8, kMostComms = 12, kMostSteps = 48;

// Numbers drawn one after the other.
class Dice {
 public:
  Dice(uint64_t seed, uint64_t purpose) : seed_(hash(seed, 0xca3a, purpose)) {}
  uint64_t next() { return hash(seed_, ++drawn_); }
  uint64_t below(uint64_t limit) { return next() % limit; }
  bool chance(unsigned percent) { return below(100) < percent; }
  int between(int first, int last) { return first + static_cast<int>(below(static_cast<uint64_t>(last - first + 1))); }
  // Between first and last, each order of magnitude as likely as another.
  int64_t spread(int64_t first, int64_t last);
  template <typename T>
  const T& one_of(const std::vector<T>& list) {
    return list[below(list.size())];
  }

 private:
  const uint64_t seed_;
  uint64_t drawn_ = 0;
};

enum class Fate {
  None,         // nothing goes wrong
  Kill,         // SIGKILL
  Quit,         // _exit()
  Exit,         // exit()
  Stop,         // SIGSTOP; SIGCONT later, or never
  Slow,         // sleeps longer than operations may stand still
  Abort,        // CommAbort by the thread that makes the calls
  AbortBeside,  // CommAbort by another thread, while the first destroys because its call has failed
  Mismatch,     // another call than the others', one less, or one more
  LoneSend,     // nobody receives it
  LoneRecv,     // nobody sends it
  Break,        // a transport's connection breaks
  Descriptors,  // a low RLIMIT_NOFILE while a communicator is made
  Memory,       // RLIMIT_AS
  FileSize,     // RLIMIT_FSIZE
  Threads,      // RLIMIT_NPROC
  Signals,      // many, at the thread that makes the calls
  Fork,         // a child that lives on
  User,         // another user, or undumpable
  Closed,       // files 0, 1 and 2
  Maker,        // the process that made the ids dies, and is no rank
  Two,          // two of the others at once
};
constexpr int kFates = 22;
const char* name_of(Fate fate);
std::optional<Fate> fate_of(const std::string& name);

struct Fault {
  Fate fate = Fate::None;
  int rank = 0;          // whose it is (its process's, where a process is hit)
  int step = 0;          // when that rank is in this step
  int64_t delay_us = 0;  // 0: before the step, by the thread that makes the calls; else within, by another
  int variant = 0;       // of the kind
  int64_t amount = 0;    // us until SIGCONT (-1: never) or of sleep; of the limit; peer of a lone message
  std::optional<Case> odd = {};  // of a mismatch: what the rank calls
};
// Of a mismatch.
enum Odd { kOtherKind, kOtherRoot, kOtherCount, kOtherType, kOtherOp, kLeftOut, kOneMore, kOdds };

struct CommPlan {
  std::vector<int> members;  // by the communicator's own rank
  int parent = -1;           // that it is split from
  int maker = 0;             // the rank that makes its id; kNoRank: a process without ranks; unused if it has a parent
  int made = 0;              // in which step
};
constexpr int kNoRank = -1;

struct Step {
  enum class Kind { Init, Split, Calls, Finish } kind = Kind::Calls;
  int comm = 0;  // made, split, or ended; of Calls: of the first
  struct CallOn {
    int comm;
    Case call;
  };
  std::vector<CallOn> calls = {};
  bool grouped = false, drains = true;  // waits for all streams
  std::vector<int> children = {};       // Split, by the rank in comm: the communicator it comes to, -1: none
};

// What one thread does: one rank, or several through groups.
struct DriverPlan {
  int process;
  std::vector<int> ranks;
  bool watched = false;       // another thread aborts communicators that have failed
  bool non_blocking = false;  // its inits
};

struct World {
  uint64_t seed = 0;
  std::string transport;
  Fate kind = Fate::None;
  int ranks = 0, processes = 0;
  bool early = false;  // processes end when they are done, and not when all are
  double timeout_s = 1, init_timeout_s = 3;
  std::vector<std::pair<std::string, std::string>> settings;
  std::vector<DriverPlan> drivers;
  std::vector<CommPlan> comms;
  std::vector<Step> steps;
  std::vector<Fault> faults;

  int process_of(int rank) const { return drivers[static_cast<size_t>(driver_of(rank))].process; }
  int driver_of(int rank) const;
  const CommPlan& comm(int index) const { return comms[static_cast<size_t>(index)]; }
  // A rank's number in a communicator; kNoRank if it has none.
  int place_in(int comm, int rank) const;
  bool has(Fate fate) const;
  bool has_maker() const;  // a process without ranks
  int last_joining_step() const;
};

// The kind of fault of a world for which none is asked.
Fate draw_fate(uint64_t seed);
World draw_world(uint64_t seed, const std::string& transport, Fate kind);
// Parts of it.
void draw_program(World& world);
void draw_faults(World& world);
// For people.
std::string describe(const World& world);
std::string describe(const Fault& fault);

}  // namespace tutti::test::campaign

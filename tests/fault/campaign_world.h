// campaign_world: a world as data: ranks, processes, threads, settings, the calls that all ranks make, and the faults.
//
// A world is a function of a seed, a transport and a kind of fault: the same three give the same world. Nothing runs here.
// A rank's number is that in the world. A communicator lists its ranks in its own order.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/harness/cases.h"
#include "tests/harness/dice.h"

namespace tutti::test::campaign {

constexpr int kMostRanks = 8, kMostComms = 12, kMostSteps = 48;

enum class Fate {
  None,         // nothing goes wrong
  Kill,         // SIGKILL
  Quit,         // _exit()
  Exit,         // exit()
  Stop,         // SIGSTOP; SIGCONT later, or never
  Slow,         // sleeps longer than the timeout
  Abort,        // CommAbort by the thread that makes the calls
  AbortBeside,  // CommAbort by another thread
  Mismatch,     // a rank makes another call than the others, one less, or one more
  LoneSend,     // a Send that nobody receives
  LoneRecv,     // a Recv that nobody sends
  Break,        // a transport's connection breaks
  Descriptors,  // a low RLIMIT_NOFILE while a communicator is made
  Memory,       // RLIMIT_AS
  FileSize,     // RLIMIT_FSIZE
  Threads,      // RLIMIT_NPROC
  Signals,      // many signals to the thread that makes the calls
  Fork,         // a fork; the child may live on
  User,         // the process becomes another user, or undumpable
  Closed,       // closes descriptors 0, 1 and 2
  Maker,        // the process that made the ids, and has no ranks, dies
  Two,          // two of the faults above at once
};
constexpr int kFates = 22;
const char* name_of(Fate fate);
std::optional<Fate> fate_of(const std::string& name);

struct Fault {
  Fate fate = Fate::None;
  int rank = 0;          // hits this rank, or its process
  int step = 0;          // at this step of the rank
  int64_t delay_us = 0;  // 0: before the step, by the driver's thread; else so long after its begin, by another thread
  int variant = 0;       // its meaning depends on the kind
  int64_t amount = 0;    // us until SIGCONT (-1: never) or of sleep; a limit; the peer of a lone message
  std::optional<Case> odd = {};  // Mismatch: the call that the rank makes
};
// The variants of Mismatch.
enum Odd { kOtherKind, kOtherRoot, kOtherCount, kOtherType, kOtherOp, kLeftOut, kOneMore, kOdds };

struct CommPlan {
  std::vector<int> members;  // the world's ranks, in the communicator's order
  int parent = -1;           // the communicator that it is split from; -1: none
  int maker = 0;             // without a parent: the rank that makes its id; kNoRank: a process without ranks
  int made = 0;              // the step that makes it
};
constexpr int kNoRank = -1;

struct Step {
  enum class Kind { Init, Split, Calls, Finish } kind = Kind::Calls;
  int comm = 0;  // the one that is made, split or ended; Calls: that of the first call
  struct CallOn {
    int comm;
    Case call;
  };
  std::vector<CallOn> calls = {};
  bool grouped = false, drains = true;  // drains: waits for all streams
  std::vector<int> children = {};       // Split: the new communicator of each rank of comm; -1: none
};

// The ranks of one thread. It makes the calls of several ranks in groups.
struct DriverPlan {
  int process;
  std::vector<int> ranks;
  bool watched = false;       // another thread aborts its communicators when they have failed
  bool non_blocking = false;  // CommInitRank does not block
};

struct World {
  uint64_t seed = 0;
  std::string transport;
  Fate kind = Fate::None;
  int ranks = 0, processes = 0;
  bool early = false;  // a process ends when it is done; otherwise when all are
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
  bool has_maker() const;  // whether a process without ranks makes ids
  int last_joining_step() const;
};

// The kind of fault of a world, if the caller does not choose one.
Fate draw_fate(uint64_t seed);
World draw_world(uint64_t seed, const std::string& transport, Fate kind);
// Parts of draw_world().
void draw_program(World& world);
void draw_faults(World& world);
// Texts for people.
std::string describe(const World& world);
std::string describe(const Fault& fault);

}  // namespace tutti::test::campaign

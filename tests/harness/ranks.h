// ranks: runs a test's ranks as processes, as threads, or as processes of several threads, and brings back how each ended.
//
//   World world{.ranks = 4};                                   // four processes of one rank each
//   Outcome outcome = run_ranks(world, [](Rank& rank) {
//     tuttiComm_t comm = rank.join();                          // the rendezvous is arranged
//     expect(tuttiBarrier(comm, nullptr) == tuttiSuccess, "barrier failed");
//     rank.check(tuttiCommDestroy(comm), "destroy");
//   });
//   INFO(outcome.text()); CHECK(outcome.ok());
//
// The parent only forks, waits and kills: it makes no communicator and no thread, since neither survives a fork. Catch2's
// macros belong into the parent alone; a rank says what is wrong by throwing Failure (expect(), check()), which ends it with
// exit code 1 and a text in memory shared with the parent. Who has not ended at the deadline is killed and named, with what
// it was doing (note()). Nobody outlives the parent.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "include/tutti/tutti.h"

namespace tutti::test {

class Hosts;

struct Failure {
  std::string text;
  tuttiResult_t result = tuttiSuccess;  // the result of the library's call, if one failed
};
// Throws Failure unless `condition`.
void expect(bool condition, const std::string& text);

struct World {
  int ranks = 2;
  int threads = 1;  // ranks per process; `ranks`: all of them are threads of one process (a child, too)
  std::vector<std::pair<std::string, std::string>> environment = {};  // for the ranks; before any of the library runs
  const Hosts* hosts = nullptr;  // the processes are dealt out over them, one after the other
  double deadline_s = 60;                                             // for the whole world
  // After a rank has failed by a Failure, the others get this long before they are killed.
  double grace_s = 10;
};

struct Shared;  // memory of all ranks and the parent (ranks.cc)

// One rank inside its process or thread.
class Rank {
 public:
  Rank(Shared& shared, int rank, int ranks) : rank(rank), ranks(ranks), shared_(shared) {}

  // The slot-th unique id of this world (0..kIds-1): the maker makes it on first use, the others wait for it.
  static constexpr int kIds = 256;
  tuttiUniqueId id(int slot = 0, int maker = 0);
  // tuttiCommInitRank over all ranks with id(slot).
  tuttiComm_t join(int slot = 0);
  // Throws Failure with the library's own sentence unless `result` is `wanted`.
  void check(tuttiResult_t result, const std::string& what, tuttiResult_t wanted = tuttiSuccess) const;

  // Tells the parent, should this rank hang or crash, what it was about. Cheap.
  void note(const std::string& text);
  // Appends a number to what the parent finds in Outcome::records (counts, checksums, elapsed times). 64 Ki at most.
  void record(uint64_t value);
  // Meeting points outside the library: flags 0..63, shared by the world, 0 at first. wait_flag waits for >= value.
  void raise_flag(int flag, uint32_t by = 1);
  void wait_flag(int flag, uint32_t value) const;
  uint32_t flag(int flag) const;
  // All ranks meet without the library; flag must not be used otherwise, and only once.
  void meet(int flag) { raise_flag(flag), wait_flag(flag, static_cast<uint32_t>(ranks)); }

  const int rank, ranks;

 private:
  Shared& shared_;
};

struct RankOutcome {
  enum class End { Finished, Failed, Signal, Exit, Hung } end = End::Hung;
  int code = 0;               // signal number or exit code
  std::string failure, note;  // Failed: the text; the last note
  std::vector<uint64_t> records;
};

struct Outcome {
  std::vector<RankOutcome> ranks;
  double seconds = 0;
  bool ok() const;           // all Finished
  std::string text() const;  // one line per rank that did not finish
};

// Runs body once per rank. With threads > 1, a rank's end by signal is the end of all ranks of its process.
Outcome run_ranks(const World& world, const std::function<void(Rank&)>& body);

}  // namespace tutti::test

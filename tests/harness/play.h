// play: plays cases on one or more ranks that one thread drives, one by one, in groups, or on streams.
#pragma once
#include <map>
#include <memory>
#include <span>

#include "tests/harness/cases.h"
#include "tests/harness/ranks.h"

namespace tutti::test {

struct Member {
  int rank;
  tuttiComm_t comm;
};

class Player {
 public:
  // members: the ranks of a communicator of `ranks` ranks that this thread drives. More than one: every case is a group.
  Player(Rank& reporter, std::vector<Member> members, int ranks);
  ~Player();
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;

  // Plays the cases of a batch in order (as one group, if `grouped`), waits for the streams they used, checks everything.
  // Every rank plays the same batches. AllReduce's checksums are recorded. Throws Failure.
  void play(std::span<const Case> batch, bool grouped = false);
  void play(const Case& c) { play({&c, 1}); }
  // Cases played.
  uint64_t played() const { return played_; }

 private:
  struct Close {
    void operator()(tuttiStream* stream) const { (void)tuttiStreamDestroy(stream); }
  };
  tuttiStream_t stream(int index);
  void drain(int index, bool by_polling);

  Rank& reporter_;
  const std::vector<Member> members_;
  const int ranks_;
  std::map<int, std::unique_ptr<tuttiStream, Close>> streams_;
  uint64_t played_ = 0;
};

// A case drawn at random: legal on `ranks` ranks, of this kind, with a count of at most largest elements.
Case random_case(uint64_t seed, Kind kind, int ranks, size_t count);

// Makes sure that all ranks recorded the same; "" or who differs where.
std::string compare_records(const Outcome& outcome);

}  // namespace tutti::test

// pace: how a world goes on, step by step. In each step the network moves, and then one rank, or later all.
#pragma once
#include <vector>

#include "tests/world/network.h"

namespace tutti::test::world {

class Pace {
 public:
  // Draws how often each rank takes its turns.
  Pace(Dice& dice, int ranks) : dice_(dice) {
    for (int rank = 0; rank < ranks; ++rank) eagerness_.push_back(dice.one_of(std::vector<unsigned>{100, 100, 50, 10}));
  }
  // move(rank) says whether anything happened.
  template <typename Move>
  void step(Network& network, const Move& move) {
    const bool calm = steps_ >= kCalmAfter;
    if (calm) network.calm();
    const uint64_t before = network.events();
    bool moved = false;
    network.move();
    const int ranks = static_cast<int>(eagerness_.size());
    for (int i = 0; i < (calm ? ranks : 1); ++i) {
      const int rank = calm ? i : dice_.between(0, ranks - 1);
      if (calm || dice_.chance(eagerness_[static_cast<size_t>(rank)])) moved |= move(rank);
    }
    quiet_ = moved || !calm || network.events() != before ? 0 : quiet_ + 1;
    ++steps_;
  }
  const uint64_t& steps() const { return steps_; }
  // Nothing happens any more, or the world takes too long.
  bool over() const { return quiet_ >= kQuiet || steps_ >= kMost; }
  // Something is still to come.
  void stir() { quiet_ = 0; }

 private:
  static constexpr uint64_t kMost = 2'000'000, kCalmAfter = 6000;
  static constexpr int kQuiet = 50;
  Dice& dice_;
  std::vector<unsigned> eagerness_;  // by rank: percent of its turns that it takes
  uint64_t steps_ = 0;
  int quiet_ = 0;  // steps in which nothing happened
};

}  // namespace tutti::test::world

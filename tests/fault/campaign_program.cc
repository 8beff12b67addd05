// campaign_program: draws the calls that all ranks of a world make; see campaign_world.h.
//
// In worlds where ranks make different calls, any two neighbouring calls on a communicator differ in kind and count. Otherwise the call after
// one that is left out would look to all ranks like the missing one, and only the values would be wrong.
#include <algorithm>

#include "tests/fault/campaign_world.h"
#include "tests/harness/play.h"

namespace tutti::test::campaign {
namespace {

bool calls_differ(Fate kind) {
  return kind == Fate::Mismatch || kind == Fate::LoneSend || kind == Fate::LoneRecv || kind == Fate::Two;
}

class Drawer {
 public:
  explicit Drawer(World& world) : world_(world), dice_(world.seed, 3), plain_(calls_differ(world.kind)) {}
  void draw();

 private:
  void init();
  void split(int comm);
  void finish(int comm);
  void calls(int comm);
  Case one_case(int comm);
  size_t count_for(int ranks);
  int any_live() { return dice_.one_of(live_); }

  World& world_;
  Dice dice_;
  const bool plain_;                // one call in a step, no streams, no groups
  std::vector<int> live_;           // communicators
  std::vector<Kind> last_kinds_;    // by communicator
  int inits_ = 0;
};

void Drawer::init() {
  CommPlan plan;
  for (int rank = 0; rank < world_.ranks; ++rank) plan.members.push_back(rank);
  const uint64_t way = world_.kind == Fate::Maker ? 99 : dice_.below(100);
  plan.maker = way < 50 ? 0 : way < 85 ? dice_.between(0, world_.ranks - 1) : kNoRank;
  plan.made = static_cast<int>(world_.steps.size());
  world_.comms.push_back(plan);
  last_kinds_.push_back(Kind::Barrier);
  live_.push_back(static_cast<int>(world_.comms.size()) - 1);
  world_.steps.push_back({Step::Kind::Init, live_.back()});
  ++inits_;
}

// Up to three colors, and some ranks without a color. The keys keep the order of the ranks or reverse it.
void Drawer::split(int comm) {
  const std::vector<int> parents = world_.comm(comm).members;
  Step step{Step::Kind::Split, comm};
  step.children.assign(parents.size(), -1);
  const size_t room = static_cast<size_t>(kMostComms) - world_.comms.size();
  const uint64_t colors = 1 + dice_.below(std::min<size_t>(3, room));
  const bool backwards = dice_.chance(40);
  std::vector<std::vector<int>> by_color(colors);
  for (size_t place = 0; place < parents.size(); ++place) {
    if (dice_.chance(10)) continue;
    by_color[dice_.below(colors)].push_back(static_cast<int>(place));
  }
  for (const std::vector<int>& places : by_color) {
    if (places.empty()) continue;
    const int child = static_cast<int>(world_.comms.size());
    CommPlan plan;
    plan.parent = comm;
    plan.made = static_cast<int>(world_.steps.size());
    for (const int place : places) {
      plan.members.push_back(parents[static_cast<size_t>(place)]);
      step.children[static_cast<size_t>(place)] = child;
    }
    if (backwards) std::reverse(plan.members.begin(), plan.members.end());
    world_.comms.push_back(plan);
    last_kinds_.push_back(Kind::Barrier);
    live_.push_back(child);
  }
  world_.steps.push_back(step);
}

void Drawer::finish(int comm) {
  live_.erase(std::find(live_.begin(), live_.end(), comm));
  world_.steps.push_back({Step::Kind::Finish, comm});
}

// A count of elements per pair of ranks; sometimes a large one.
size_t Drawer::count_for(int ranks) {
  const uint64_t size = dice_.below(100);
  const size_t each = size < 5 ? 400'000 : size < 25 ? 40'000 : size < 60 ? 4'000 : 100;
  const size_t count = dice_.below(each / static_cast<size_t>(ranks) + 1);
  // In a world of mismatches all counts differ.
  return plain_ ? (count / 64 + 1) * 64 + world_.steps.size() : count;
}

Case Drawer::one_case(int comm) {
  Kind& last = last_kinds_[static_cast<size_t>(comm)];
  Kind kind;
  do kind = static_cast<Kind>(dice_.below(kKinds));
  while (plain_ && kind == last);
  last = kind;
  const int ranks = static_cast<int>(world_.comm(comm).members.size());
  Case made = random_case(dice_.next(), kind, ranks, count_for(ranks));
  if (!plain_ && dice_.chance(25)) made.stream = dice_.between(0, 2);
  return made;
}

void Drawer::calls(int comm) {
  Step step{Step::Kind::Calls, comm};
  const int number = plain_ || dice_.chance(60) ? 1 : dice_.between(2, 6);
  step.grouped = number > 1 && dice_.chance(40);
  step.drains = plain_ || dice_.chance(70);
  for (int i = 0; i < number; ++i) {
    const int on = i > 0 && dice_.chance(30) ? any_live() : comm;
    step.calls.push_back({on, one_case(on)});
  }
  world_.steps.push_back(step);
}

void Drawer::draw() {
  init();
  const int steps = dice_.between(3, kMostSteps - kMostComms - 4);
  while (static_cast<int>(world_.steps.size()) < steps) {
    const uint64_t what = dice_.below(100);
    const int comm = any_live();
    if (what < 8 && static_cast<int>(world_.comms.size()) + 3 <= kMostComms)
      split(comm);
    else if (what < 11 && inits_ < 3 && static_cast<int>(world_.comms.size()) < kMostComms)
      init();
    else if (what < 16 && live_.size() > 1)
      finish(comm);
    else
      calls(comm);
  }
  while (!live_.empty()) finish(any_live());
}

}  // namespace

void draw_program(World& world) { Drawer(world).draw(); }

}  // namespace tutti::test::campaign

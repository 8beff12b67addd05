// campaign_faults: draws the faults of a world, their places and times; see campaign_world.h.
#include <algorithm>
#include <numeric>

#include "tests/fault/campaign_world.h"

namespace tutti::test::campaign {
namespace {

// How many of a hundred worlds have which fault.
constexpr std::pair<Fate, unsigned> kShares[] = {
    {Fate::None, 7},      {Fate::Kill, 16},   {Fate::Quit, 5},        {Fate::Exit, 5},     {Fate::Stop, 7},        {Fate::Slow, 5},
    {Fate::Abort, 6},     {Fate::AbortBeside, 7}, {Fate::Mismatch, 11}, {Fate::LoneSend, 3}, {Fate::LoneRecv, 3},  {Fate::Break, 3},
    {Fate::Descriptors, 3}, {Fate::Memory, 2}, {Fate::FileSize, 2},   {Fate::Threads, 2},  {Fate::Signals, 2},     {Fate::Fork, 2},
    {Fate::User, 1},      {Fate::Closed, 1},  {Fate::Maker, 2},       {Fate::Two, 5}};

constexpr double kMicro = 1e6;

using StepKind = Step::Kind;

class Chooser {
 public:
  Chooser(World& world, Dice& dice) : world_(world), dice_(dice) {}
  // Draws rank, step and parameters. False: this world has no place for such a fault.
  bool choose(Fault& fault);

 private:
  bool takes_part(int rank, const Step& step) const;
  bool find_step(Fault& fault, const std::vector<StepKind>& kinds, size_t least_ranks = 1);
  bool find_any_step(Fault& fault);
  bool choose_odd(Fault& fault);
  void choose_delay(Fault& fault);
  void choose_stop(Fault& fault);

  World& world_;
  Dice& dice_;
};

bool Chooser::takes_part(int rank, const Step& step) const {
  if (step.kind != StepKind::Calls) return world_.place_in(step.comm, rank) >= 0;
  return std::any_of(step.calls.begin(), step.calls.end(), [&](const auto& one) { return world_.place_in(one.comm, rank) >= 0; });
}

// Draws a step of one of these kinds in which the rank takes part, on a communicator of at least `least_ranks` ranks.
bool Chooser::find_step(Fault& fault, const std::vector<StepKind>& kinds, size_t least_ranks) {
  std::vector<int> found;
  for (size_t i = 0; i < world_.steps.size(); ++i) {
    const Step& step = world_.steps[i];
    const bool fits = std::find(kinds.begin(), kinds.end(), step.kind) != kinds.end() && takes_part(fault.rank, step) &&
                      world_.place_in(step.comm, fault.rank) >= 0 && world_.comm(step.comm).members.size() >= least_ranks;
    if (fits) found.push_back(static_cast<int>(i));
  }
  if (!found.empty()) fault.step = dice_.one_of(found);
  return !found.empty();
}

bool Chooser::find_any_step(Fault& fault) {
  const uint64_t where = dice_.below(100);
  if (where < 20) return find_step(fault, {StepKind::Init});
  if (where < 40 && find_step(fault, {StepKind::Split})) return true;
  if (where < 55) return find_step(fault, {StepKind::Finish});
  return find_step(fault, {StepKind::Calls}) || find_step(fault, {StepKind::Init});
}

void Chooser::choose_delay(Fault& fault) {
  const bool long_step = world_.steps[static_cast<size_t>(fault.step)].kind != StepKind::Calls;
  fault.delay_us = dice_.chance(30) ? 0 : dice_.spread(10, long_step ? 60'000 : 15'000);
}

void Chooser::choose_stop(Fault& fault) {
  switch (fault.variant = dice_.between(0, 3)) {
    case 0: fault.amount = static_cast<int64_t>(world_.timeout_s * dice_.between(10, 40) / 100 * kMicro); break;  // below the timeout: no error need come
    case 1: fault.amount = static_cast<int64_t>((world_.timeout_s + 1.5) * kMicro); break;
    case 2: fault.amount = static_cast<int64_t>((world_.timeout_s + 4) * kMicro); break;
    default: fault.amount = -1;
  }
}

bool Chooser::choose_odd(Fault& fault) {
  if (!find_step(fault, {StepKind::Calls}, 2)) return false;
  const Step& step = world_.steps[static_cast<size_t>(fault.step)];
  Case odd = step.calls[0].call;
  fault.variant = dice_.between(0, kOdds - 1);
  if (fault.variant == kOtherRoot && !has_root(odd.kind)) fault.variant = kOtherKind;
  if (fault.variant == kOtherOp && !has_op(odd.kind)) fault.variant = kOtherType;
  if (odd.kind == Kind::Barrier && (fault.variant == kOtherType || fault.variant == kOtherCount)) fault.variant = kOtherKind;
  const uint64_t ranks = world_.comm(step.comm).members.size();
  switch (fault.variant) {
    case kOtherRoot: odd.root = static_cast<int>((static_cast<uint64_t>(odd.root) + 1 + dice_.below(ranks - 1)) % ranks); break;
    case kOtherCount: odd.count += dice_.chance(50) ? 1 : 5000; break;
    case kOtherType: odd.type = static_cast<tuttiDataType_t>((static_cast<uint64_t>(odd.type) + 1 + dice_.below(tuttiNumTypes - 1)) % tuttiNumTypes); break;
    case kOtherOp: odd.op = static_cast<int>((static_cast<uint64_t>(odd.op) + 1 + dice_.below(kOps - 1)) % kOps); break;
    case kOtherKind:
    case kOneMore: {
      // Neither this call's kind nor that of the call before it on the communicator.
      const Kind here = odd.kind;
      Kind before = here;
      for (int i = 0; i < fault.step; ++i) {
        const Step& other = world_.steps[static_cast<size_t>(i)];
        if (other.kind == StepKind::Calls && other.comm == step.comm) before = other.calls[0].call.kind;
      }
      do odd.kind = static_cast<Kind>(dice_.below(kKinds));
      while (odd.kind == here || odd.kind == before || odd.kind == Kind::SendRecv || odd.kind == Kind::Bcast);
      if (has_op(odd.kind)) odd.op = static_cast<int>(dice_.below(kOps));
      odd.root = has_root(odd.kind) ? static_cast<int>(dice_.below(ranks)) : 0;
      odd.count += 16;
      break;
    }
    default: break;
  }
  if (fault.variant != kLeftOut) fault.odd = odd;
  return true;
}

bool Chooser::choose(Fault& fault) {
  fault.rank = dice_.between(0, world_.ranks - 1);
  switch (fault.fate) {
    case Fate::None: return true;
    case Fate::Mismatch: return choose_odd(fault);
    case Fate::LoneSend:
    case Fate::LoneRecv: {
      if (!find_step(fault, {StepKind::Calls}, 2)) return false;
      const int comm = world_.steps[static_cast<size_t>(fault.step)].comm;
      const int ranks = static_cast<int>(world_.comm(comm).members.size());
      fault.amount = (world_.place_in(comm, fault.rank) + dice_.between(1, ranks - 1)) % ranks;
      fault.variant = dice_.between(0, 2);  // short, long, long from tuttiMemAlloc
      return true;
    }
    case Fate::Descriptors: fault.amount = dice_.between(0, 25); return find_step(fault, {StepKind::Init, StepKind::Split});
    case Fate::Memory: fault.amount = dice_.spread(1 << 20, 1 << 26); return find_step(fault, {StepKind::Init, StepKind::Split});
    case Fate::FileSize: fault.amount = dice_.spread(1 << 10, 1 << 22); return find_step(fault, {StepKind::Init, StepKind::Split});
    case Fate::Threads: fault.amount = dice_.between(0, 3); return find_step(fault, {StepKind::Init, StepKind::Split});
    case Fate::Break: fault.amount = dice_.spread(1, 300); return true;
    case Fate::Signals: fault.amount = dice_.spread(50, 3000); fault.variant = dice_.between(0, 1); return find_any_step(fault);
    case Fate::Maker: fault.delay_us = dice_.spread(10, 100'000); return true;
    case Fate::Closed: fault.variant = dice_.between(0, 1); return find_any_step(fault);
    case Fate::Fork: fault.variant = dice_.between(0, 3); return find_any_step(fault);
    case Fate::User: fault.variant = dice_.between(1, 3); return find_any_step(fault);
    default: break;
  }
  if (!find_any_step(fault)) return false;
  choose_delay(fault);
  if (fault.fate == Fate::Stop) choose_stop(fault);
  if (fault.fate == Fate::AbortBeside && fault.delay_us == 0) fault.delay_us = 1;  // 0 would mean the driver's own thread
  if (fault.fate == Fate::Slow) {
    const bool joins = world_.steps[static_cast<size_t>(fault.step)].kind == StepKind::Init || world_.steps[static_cast<size_t>(fault.step)].kind == StepKind::Split;
    fault.amount = static_cast<int64_t>(((joins ? world_.init_timeout_s : world_.timeout_s) * dice_.between(110, 180) / 100 + 0.5) * kMicro);
  }
  return true;
}

}  // namespace

Fate draw_fate(uint64_t seed) {
  Dice dice(seed, 4);
  constexpr unsigned kAll = std::accumulate(std::begin(kShares), std::end(kShares), 0u, [](unsigned sum, const auto& one) { return sum + one.second; });
  static_assert(kAll == 100);
  uint64_t drawn = dice.below(kAll);
  for (const auto& [fate, share] : kShares) {
    if (drawn < share) return fate;
    drawn -= share;
  }
  return Fate::None;
}

void draw_faults(World& world) {
  Dice dice(world.seed, 5);
  Chooser chooser(world, dice);
  std::vector<Fate> fates{world.kind};
  if (world.kind == Fate::Two) {
    const std::vector<Fate> some{Fate::Kill, Fate::Kill, Fate::Quit, Fate::Exit, Fate::Stop, Fate::Slow, Fate::Abort, Fate::AbortBeside, Fate::Mismatch,
                                 Fate::LoneSend, Fate::Fork, Fate::Signals};
    fates = {dice.one_of(some), dice.one_of(some)};
  }
  for (const Fate fate : fates) {
    Fault fault{fate};
    if (chooser.choose(fault)) world.faults.push_back(fault);
  }
  // The process that dies is the one whose child lives on.
  if (world.faults.size() == 2 && world.faults[0].fate == Fate::Fork && (world.faults[1].fate == Fate::Kill || world.faults[1].fate == Fate::Quit)) {
    world.faults[0].rank = world.faults[1].rank;
    world.faults[0].step = 0;
  }
  for (const Fault& fault : world.faults)
    if (fault.fate == Fate::AbortBeside) world.drivers[static_cast<size_t>(world.driver_of(fault.rank))].watched = false;
}

}  // namespace tutti::test::campaign

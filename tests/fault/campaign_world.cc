// campaign_world: draws processes, threads and settings, and describes a world; see campaign_world.h.
#include "tests/fault/campaign_world.h"

#include <algorithm>
#include <iterator>
#include <sstream>

namespace tutti::test::campaign {
namespace {

constexpr const char* kNames[] = {"none",      "kill",      "quit",        "exit",   "stop",      "slow",    "abort",   "abort-beside",
                                  "mismatch",  "lone-send", "lone-recv",   "break",  "descriptors", "memory", "file-size", "threads",
                                  "signals",   "fork",      "user",        "closed", "maker",     "two"};
static_assert(std::size(kNames) == kFates);

// Whether the fault ends a whole process: the world then needs another one.
bool lethal(Fate fate) {
  return fate == Fate::Kill || fate == Fate::Quit || fate == Fate::Exit || fate == Fate::Stop || fate == Fate::Two || fate == Fate::Maker;
}

// Deals out the ranks to processes, not always in order, and the ranks of a process to threads.
void draw_layout(World& world) {
  Dice dice(world.seed, 1);
  world.ranks = dice.between(2, kMostRanks);
  std::vector<int> order;
  for (int rank = 0; rank < world.ranks; ++rank) order.push_back(rank);
  if (dice.chance(30))
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[dice.below(i)]);
  const unsigned style = static_cast<unsigned>(dice.below(100));
  int most = style < 50 ? 1 : style < 90 ? dice.between(2, 4) : world.ranks;  // ranks of a process
  if (lethal(world.kind)) most = std::min(most, std::max(1, world.ranks - 1));
  const bool uneven = dice.chance(50);
  for (size_t at = 0; at < order.size();) {
    const size_t here = std::min(order.size() - at, static_cast<size_t>(uneven ? dice.between(1, most) : most));
    const bool together = here > 1 && dice.chance(35);  // one thread for all of them
    for (size_t i = 0; i < here; ++i) {
      if (i == 0 || !together) world.drivers.push_back({world.processes, {}});
      world.drivers.back().ranks.push_back(order[at + i]);
    }
    ++world.processes;
    at += here;
  }
  for (DriverPlan& driver : world.drivers) {
    driver.watched = dice.chance(20);
    driver.non_blocking = dice.chance(25);
  }
  world.early = dice.chance(50);
}

std::string number_text(double value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

void draw_settings(World& world) {
  Dice dice(world.seed, 2);
  world.timeout_s = dice.chance(70) ? 1 : dice.between(2, 3);
  world.settings = {{"TUTTI_TRANSPORTS", world.transport},
                    {"TUTTI_TIMEOUT", number_text(world.timeout_s)},
                    {"TUTTI_INIT_TIMEOUT", number_text(world.init_timeout_s)},
                    {"TUTTI_DEBUG", "WARN"}};
  if (dice.chance(50)) world.settings.emplace_back("TUTTI_TILE", dice.one_of<std::string>({"4K", "32K", "1M"}));
  if (dice.chance(30)) world.settings.emplace_back("TUTTI_TILES_IN_FLIGHT", dice.one_of<std::string>({"1", "2", "16"}));
  if (dice.chance(20)) world.settings.emplace_back("TUTTI_CACHE", "4096");
  if (dice.chance(20)) world.settings.emplace_back("TUTTI_SPIN_US", dice.one_of<std::string>({"0", "5000"}));
  if (dice.chance(30)) world.settings.emplace_back("TUTTI_ALGO", dice.one_of<std::string>({"ring", "tree", "oneshot", "halving", "linear"}));
  if (dice.chance(30))
    world.settings.emplace_back("TUTTI_FAULT", "seed=" + std::to_string(dice.below(1000)) + ",delay=" + std::to_string(dice.below(40)) +
                                                   ",reorder=" + std::to_string(dice.below(30)) + ",press=" + std::to_string(dice.below(40)));
}

std::string list_of(const std::vector<int>& numbers) {
  std::string text;
  for (const int number : numbers) text += (text.empty() ? "" : ",") + std::to_string(number);
  return text;
}

std::string describe(const World& world, const Step& step) {
  std::ostringstream out;
  switch (step.kind) {
    case Step::Kind::Init:
      out << "init of c" << step.comm << ", id by ";
      out << (world.comm(step.comm).maker == kNoRank ? "another process" : "rank " + std::to_string(world.comm(step.comm).maker));
      break;
    case Step::Kind::Split: out << "split of c" << step.comm << " into " << list_of(step.children); break;
    case Step::Kind::Finish: out << "end of c" << step.comm; break;
    case Step::Kind::Calls:
      out << (step.grouped ? "group" : "calls") << (step.drains ? "" : ", not waited for");
      for (const Step::CallOn& one : step.calls) out << "\n       c" << one.comm << ' ' << describe(one.call);
  }
  return out.str();
}

}  // namespace

const char* name_of(Fate fate) { return kNames[static_cast<size_t>(fate)]; }

std::optional<Fate> fate_of(const std::string& name) {
  const auto found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found == std::end(kNames)) return {};
  return static_cast<Fate>(found - std::begin(kNames));
}

int World::driver_of(int rank) const {
  for (size_t i = 0; i < drivers.size(); ++i)
    if (std::find(drivers[i].ranks.begin(), drivers[i].ranks.end(), rank) != drivers[i].ranks.end()) return static_cast<int>(i);
  return -1;
}

int World::place_in(int index, int rank) const {
  const std::vector<int>& members = comm(index).members;
  const auto found = std::find(members.begin(), members.end(), rank);
  return found == members.end() ? kNoRank : static_cast<int>(found - members.begin());
}

bool World::has(Fate fate) const {
  return std::any_of(faults.begin(), faults.end(), [&](const Fault& fault) { return fault.fate == fate; });
}

bool World::has_maker() const {
  return std::any_of(comms.begin(), comms.end(), [](const CommPlan& comm) { return comm.parent < 0 && comm.maker == kNoRank; });
}

int World::last_joining_step() const {
  int last = 0;
  for (size_t i = 0; i < steps.size(); ++i)
    if (steps[i].kind == Step::Kind::Init || steps[i].kind == Step::Kind::Split) last = static_cast<int>(i);
  return last;
}

World draw_world(uint64_t seed, const std::string& transport, Fate kind) {
  World world;
  world.seed = seed;
  world.transport = transport;
  world.kind = kind;
  draw_layout(world);
  draw_settings(world);
  draw_program(world);
  draw_faults(world);
  return world;
}

std::string describe(const Fault& fault) {
  std::ostringstream out;
  out << name_of(fault.fate);
  if (fault.fate == Fate::None) return out.str();
  out << " of rank " << fault.rank << " in step " << fault.step << " after " << fault.delay_us << " us, variant " << fault.variant << ", amount "
      << fault.amount;
  if (fault.odd) out << ", calls " << describe(*fault.odd);
  return out.str();
}

std::string describe(const World& world) {
  std::ostringstream out;
  out << "world " << world.seed << " over " << world.transport << ": " << world.ranks << " ranks" << (world.early ? ", each process ends when it is done" : "")
      << '\n';
  for (const Fault& fault : world.faults) out << "  fault: " << describe(fault) << '\n';
  for (size_t i = 0; i < world.drivers.size(); ++i) {
    const DriverPlan& driver = world.drivers[i];
    out << "  thread " << i << " in process " << driver.process << ": ranks " << list_of(driver.ranks) << (driver.watched ? ", watched" : "")
        << (driver.non_blocking ? ", inits do not block" : "") << '\n';
  }
  out << " ";
  for (const auto& [name, value] : world.settings) out << ' ' << name << '=' << value;
  out << '\n';
  for (size_t i = 0; i < world.steps.size(); ++i) out << "  step " << i << ": " << describe(world, world.steps[i]) << '\n';
  return out.str();
}

}  // namespace tutti::test::campaign

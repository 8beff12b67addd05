// campaign_truth: see campaign_truth.h.
#include "tests/fault/campaign_truth.h"

#include <sys/wait.h>

#include <algorithm>
#include <limits>

namespace tutti::test::campaign {
namespace {

using What = Blame::What;
constexpr int64_t kEver = std::numeric_limits<int64_t>::max();

// Calls `body(event)` for each event of a log until it returns true.
template <typename Body>
bool any_event(const ThreadLog& log, const Body& body) {
  const int count = log.events.load(std::memory_order_acquire);
  return std::any_of(log.event, log.event + count, body);
}

bool among(Fate fate, std::initializer_list<Fate> fates) { return std::find(fates.begin(), fates.end(), fate) != fates.end(); }

}  // namespace

bool Truth::happened(std::initializer_list<Fate> fates, int64_t when) const {
  for (size_t i = 0; i < world_.faults.size(); ++i) {
    const int64_t at = log_.faults[i].at_ns;
    // A break happens somewhere within the transport.
    if (among(world_.faults[i].fate, fates) && (world_.faults[i].fate == Fate::Break || (at > 0 && at <= when))) return true;
  }
  return false;
}

bool Truth::happened_to(int rank, std::initializer_list<Fate> fates, int64_t when) const {
  for (size_t i = 0; i < world_.faults.size(); ++i) {
    const Fault& fault = world_.faults[i];
    const int64_t at = log_.faults[i].at_ns;
    const bool of_process = among(fault.fate, {Fate::Kill, Fate::Quit, Fate::Exit, Fate::Stop, Fate::Break, Fate::Descriptors, Fate::Memory, Fate::FileSize,
                                               Fate::Threads});
    const bool of_driver = fault.fate == Fate::Slow || fault.fate == Fate::Mismatch || fault.fate == Fate::LoneSend || fault.fate == Fate::LoneRecv;
    const bool hit = rank == fault.rank || (of_process && world_.process_of(rank) == world_.process_of(fault.rank)) ||
                     (of_driver && world_.driver_of(rank) == world_.driver_of(fault.rank));
    if (hit && among(fault.fate, fates) && (fault.fate == Fate::Break || (at > 0 && at <= when))) return true;
  }
  return false;
}

int64_t Truth::died_at(int process) const {
  const ProcessEnd& end = record_.processes[static_cast<size_t>(process)];
  if (!end.ended || (WIFEXITED(end.status) && WEXITSTATUS(end.status) == 0)) return 0;
  for (size_t i = 0; i < world_.faults.size(); ++i) {
    const Fault& fault = world_.faults[i];
    if (among(fault.fate, {Fate::Kill, Fate::Quit, Fate::Exit}) && world_.process_of(fault.rank) == process && log_.faults[i].at_ns > 0)
      return log_.faults[i].at_ns;
  }
  return 1;  // by itself, at a time that is not known
}

int64_t Truth::maker_died_at() const {
  for (size_t i = 0; i < world_.faults.size(); ++i)
    if (world_.faults[i].fate == Fate::Maker) return log_.faults[i].at_ns;
  return 0;
}

bool Truth::has_event(int rank, Event::What what, int comm, int64_t before) const {
  const auto fits = [&](const Event& event) {
    return event.what == what && event.rank == rank && (comm < 0 || event.comm == comm) && event.begin_ns <= before;
  };
  const int driver = world_.driver_of(rank);
  return any_event(log_.threads[driver], fits) || any_event(log_.beside[driver], fits);
}

bool Truth::had_left(int comm, int rank, int64_t when) const {
  return has_event(rank, Event::What::Left, comm, when) || has_event(rank, Event::What::Aborted, comm, when);
}

bool Truth::aborted_beside(int driver, int64_t when) const {
  return any_event(log_.beside[driver], [&](const Event& event) { return event.what == Event::What::Aborted && event.begin_ns <= when; });
}

bool Truth::had_joined(int comm, int rank) const { return log_.threads[world_.driver_of(rank)].step > world_.comm(comm).made; }

std::vector<int> Truth::meant(int comm, int number) const {
  std::vector<int> ranks;
  for (int index = comm; index >= 0; index = world_.comm(index).parent) {
    const std::vector<int>& members = world_.comm(index).members;
    if (number >= 0 && number < static_cast<int>(members.size())) ranks.push_back(members[static_cast<size_t>(number)]);
  }
  return ranks;
}

// It has been harmed; or had come no further than the one that says so, which is what is said.
bool Truth::lags(int rank, const Event& event) const {
  if (happened_to(rank,
                  {Fate::Kill, Fate::Quit, Fate::Exit, Fate::Stop, Fate::Slow, Fate::Abort, Fate::AbortBeside, Fate::Mismatch, Fate::LoneSend, Fate::LoneRecv,
                   Fate::Descriptors, Fate::Memory, Fate::FileSize, Fate::Threads, Fate::Break},
                  event.end_ns))
    return true;
  const auto stuck = [&](const Event& other) {
    return (other.what == Event::What::Failed || other.what == Event::What::Left || other.what == Event::What::Aborted) && other.step <= event.step;
  };
  const int driver = world_.driver_of(rank);
  return any_event(log_.threads[driver], stuck) || log_.threads[driver].step <= event.step || died_at(world_.process_of(rank)) > 0;
}

bool Truth::is_so(What what, int rank, const Event& event) const {
  const int64_t when = event.end_ns;
  const int64_t death_ns = died_at(world_.process_of(rank));
  const bool dead = death_ns > 0 && death_ns <= when;
  switch (what) {
    case What::Died: return dead;
    case What::Silent: return dead || happened_to(rank, {Fate::Stop}, when);
    case What::Left: return had_left(event.comm, rank, when) || (world_.comm(event.comm).parent >= 0 && had_left(world_.comm(event.comm).parent, rank, when));
    case What::Lags: return lags(rank, event);
    case What::Aborted: return has_event(rank, Event::What::Aborted, -1, when);
    case What::GaveUp:
    case What::Absent:
    case What::Failed:
    case What::Broke: return dead || lags(rank, event) || has_event(rank, Event::What::Failed, -1, kEver);
    case What::Differs: return happened_to(rank, {Fate::Mismatch, Fate::LoneSend, Fate::LoneRecv}, when);
    default: return false;
  }
}

bool Truth::is_so(const Blame& blame, const Event& event) const {
  const int64_t when = event.end_ns;
  if (blame.what == What::Died && blame.pid >= 0) {
    for (size_t i = 0; i + 1 < record_.processes.size(); ++i)
      if (record_.processes[i].pid == blame.pid) return died_at(static_cast<int>(i)) > 0 && died_at(static_cast<int>(i)) <= when;
    return record_.processes.back().pid == blame.pid && maker_died_at() > 0;
  }
  if (blame.what == What::Nameless) {
    // Who comes when the one that waits for all is gone cannot know more.
    constexpr int64_t kOnTheWay = 300'000'000;
    const auto before = [&](int64_t death_ns) { return death_ns > 0 && death_ns <= event.begin_ns + kOnTheWay; };
    bool known = before(maker_died_at());
    for (int process = 0; process < world_.processes; ++process) known = known || before(died_at(process));
    return known || happened({Fate::Abort, Fate::AbortBeside, Fate::Descriptors, Fate::Memory, Fate::FileSize, Fate::Threads, Fate::Slow}, when);
  }
  const std::vector<int> ranks = meant(event.comm, blame.rank);
  return std::any_of(ranks.begin(), ranks.end(), [&](int rank) { return is_so(blame.what, rank, event); });
}

}  // namespace tutti::test::campaign

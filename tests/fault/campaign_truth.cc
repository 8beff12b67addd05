// campaign_truth: see campaign_truth.h.
#include "tests/fault/campaign_truth.h"

#include <sys/wait.h>

#include <algorithm>

namespace tutti::test::campaign {
namespace {

using What = Blame::What;

bool among(Fate fate, std::initializer_list<Fate> fates) { return std::find(fates.begin(), fates.end(), fate) != fates.end(); }

bool by_then(int64_t at, int64_t when) { return at > 0 && at <= when; }

}  // namespace

bool Truth::happened(std::initializer_list<Fate> fates, int64_t when) const {
  for (int rank = 0; rank < world_.ranks; ++rank)
    if (happened_to(rank, fates, when)) return true;
  return false;
}

bool Truth::happened_to(int rank, std::initializer_list<Fate> fates, int64_t when) const {
  for (size_t i = 0; i < world_.faults.size(); ++i) {
    const Fault& fault = world_.faults[i];
    const bool of_driver = among(fault.fate, {Fate::Slow, Fate::Mismatch, Fate::LoneSend, Fate::LoneRecv});
    const bool of_rank = among(fault.fate, {Fate::Abort, Fate::AbortBeside});
    const bool hit = of_rank     ? rank == fault.rank
                     : of_driver ? world_.driver_of(rank) == world_.driver_of(fault.rank)
                                 : world_.process_of(rank) == world_.process_of(fault.rank);
    // A break happens inside the transport, at a time that is not logged.
    if (hit && among(fault.fate, fates) && (fault.fate == Fate::Break || by_then(log_.faults[i].at_ns, when))) return true;
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
  return 1;
}

int64_t Truth::maker_died_at() const {
  for (size_t i = 0; i < world_.faults.size(); ++i)
    if (world_.faults[i].fate == Fate::Maker) return log_.faults[i].at_ns;
  return 0;
}

bool Truth::has_failed(int rank, int last_step) const {
  const ThreadLog& log = log_.threads[world_.driver_of(rank)];
  return std::any_of(log.event, log.event + log.events.load(std::memory_order_acquire),
                     [&](const Event& event) { return event.what == Event::What::Failed && event.step <= last_step; });
}

bool Truth::had_left(int comm, int rank, int64_t when) const {
  return by_then(log_.left_ns[comm][rank], when) || by_then(log_.aborted_ns[comm][rank], when);
}

bool Truth::had_joined(int comm, int rank) const { return log_.threads[world_.driver_of(rank)].step > world_.comm(comm).made; }

std::vector<int> Truth::meant(const Event& event, int number) const {
  std::vector<int> comms, ranks;
  for (int index = event.comm; index >= 0; index = world_.comm(index).parent) comms.push_back(index);
  for (int index = 0; index < static_cast<int>(world_.comms.size()); ++index)
    if (world_.comm(index).parent == event.comm && world_.comm(index).made == event.step && world_.place_in(index, event.rank) >= 0)
      comms.push_back(index);
  for (const int index : comms)
    if (number >= 0 && number < static_cast<int>(world_.comm(index).members.size()))
      ranks.push_back(world_.comm(index).members[static_cast<size_t>(number)]);
  return ranks;
}

// Whether the rank may be late at the time of the event: a fault has hit it, or it has failed, or it has left, or it has not passed the
// event's step.
bool Truth::lags(int rank, const Event& event) const {
  const bool harmed = happened_to(rank, {Fate::Kill, Fate::Quit, Fate::Exit, Fate::Stop, Fate::Slow, Fate::Abort, Fate::AbortBeside, Fate::Mismatch,
                                         Fate::LoneSend, Fate::LoneRecv, Fate::Descriptors, Fate::Memory, Fate::FileSize, Fate::Threads, Fate::Break},
                                  event.end_ns);
  if (harmed || died_at(world_.process_of(rank)) > 0) return true;
  // If the event's rank has made a lone call, it waits for a peer that never answers.
  const bool lone = happened_to(event.rank, {Fate::LoneSend, Fate::LoneRecv}, event.end_ns);
  return lone || has_failed(rank, event.step) || had_left(event.comm, rank, event.end_ns) ||
         log_.threads[world_.driver_of(rank)].step <= event.step;
}

bool Truth::is_so(What what, int rank, const Event& event) const {
  const int64_t when = event.end_ns;
  const int parent = world_.comm(event.comm).parent;
  const bool dead = by_then(died_at(world_.process_of(rank)), when);
  switch (what) {
    // A process without memory may end without a reason that others could report.
    case What::Died: return dead || happened_to(rank, {Fate::Memory}, when);
    case What::Silent: return dead || happened_to(rank, {Fate::Stop}, when);
    case What::Left: return had_left(event.comm, rank, when) || (parent >= 0 && had_left(parent, rank, when));
    case What::Lags: return lags(rank, event);
    case What::Aborted:
      for (int comm = 0; comm < static_cast<int>(world_.comms.size()); ++comm)
        if (by_then(log_.aborted_ns[comm][rank], when)) return true;
      return false;
    case What::GaveUp:
    case What::Absent:
    case What::Failed:
    case What::Broke: return dead || lags(rank, event) || has_failed(rank, kMostSteps);
    case What::Differs: return happened_to(rank, {Fate::Mismatch, Fate::LoneSend, Fate::LoneRecv}, when);
    default: return false;
  }
}

bool Truth::is_so(const Blame& blame, const Event& event) const {
  const int64_t when = event.end_ns;
  if (blame.what == What::Died && blame.pid >= 0) {
    for (size_t i = 0; i + 1 < record_.processes.size(); ++i)
      if (record_.processes[i].pid == blame.pid) {
        const auto here = [&](const DriverPlan& driver) {
          return driver.process == static_cast<int>(i) && is_so(What::Died, driver.ranks[0], event);
        };
        return std::any_of(world_.drivers.begin(), world_.drivers.end(), here);
      }
    return record_.processes.back().pid == blame.pid && maker_died_at() > 0;
  }
  if (blame.what == What::Nameless) {
    // A rank that comes after the maker of the id, or another rank, has died cannot know more.
    constexpr int64_t kOnTheWayNs = 300'000'000;
    bool known = by_then(maker_died_at(), event.begin_ns + kOnTheWayNs);
    for (int process = 0; process < world_.processes; ++process) known = known || by_then(died_at(process), event.begin_ns + kOnTheWayNs);
    return known || happened({Fate::Abort, Fate::AbortBeside, Fate::Descriptors, Fate::Memory, Fate::FileSize, Fate::Threads, Fate::Slow, Fate::Stop}, when);
  }
  const std::vector<int> ranks = meant(event, blame.rank);
  return std::any_of(ranks.begin(), ranks.end(), [&](int rank) { return is_so(blame.what, rank, event); });
}

}  // namespace tutti::test::campaign

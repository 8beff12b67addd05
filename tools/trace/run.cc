// run: see run.h.
#include "tools/trace/run.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>

namespace tutti::trace {
namespace {

// The latest of the groups of files that are connected.
std::vector<Source> latest(std::vector<Source> sources, std::vector<std::string>& notes) {
  std::vector<size_t> group(sources.size());
  std::iota(group.begin(), group.end(), size_t{0});
  const auto find = [&](size_t i) {
    while (group[i] != i) i = group[i] = group[group[i]];
    return i;
  };
  std::map<std::string, size_t> seen;
  for (size_t i = 0; i < sources.size(); ++i)
    for (const std::string& mark : {"process " + sources[i].process, "key " + sources[i].key, "key " + sources[i].root})
      group[find(i)] = find(seen.emplace(mark, i).first->second);
  size_t newest = 0;
  for (size_t i = 0; i < sources.size(); ++i)
    if (sources[i].wall_clock_ns > sources[newest].wall_clock_ns) newest = i;
  std::vector<Source> kept;
  for (size_t i = 0; i < sources.size(); ++i)
    if (find(i) == find(newest)) kept.push_back(sources[i]);
  if (kept.size() < sources.size())
    notes.push_back(std::to_string(sources.size() - kept.size()) + " files are of other runs, and left out: use a folder for each run");
  return kept;
}

// What to add to the clock of a machine.
struct Shift {
  int64_t ns, uncertainty_ns;
};

// Every file of a communicator says how far its machine is from that of the communicator's rank 0.
std::map<std::string, Shift> shifts_of(const std::vector<Source>& sources, const std::string& reference) {
  std::map<std::string, std::string> machine_of_rank0;  // by key
  for (const Source& source : sources)
    if (source.rank == 0) machine_of_rank0[source.key] = source.machine;
  std::map<std::string, Shift> shifts{{reference, {0, 0}}};
  for (bool changed = true; changed;) {
    changed = false;
    const auto offer = [&](const std::string& machine, Shift shift) {
      const auto [known, fresh] = shifts.emplace(machine, shift);
      if (!fresh && known->second.uncertainty_ns <= shift.uncertainty_ns) return;
      known->second = shift;
      changed = true;
    };
    for (const Source& source : sources) {
      const auto other = machine_of_rank0.find(source.key);
      if (other == machine_of_rank0.end() || other->second == source.machine) continue;
      if (const auto at = shifts.find(other->second); at != shifts.end())
        offer(source.machine, {at->second.ns + source.offset_ns, at->second.uncertainty_ns + std::max<int64_t>(source.uncertainty_ns, 1)});
      if (const auto at = shifts.find(source.machine); at != shifts.end())
        offer(other->second, {at->second.ns - source.offset_ns, at->second.uncertainty_ns + std::max<int64_t>(source.uncertainty_ns, 1)});
    }
  }
  return shifts;
}

// A process has the ranks that it has in the largest communicator. Its other communicators are drawn with the rank of the same number, or
// with its only one.
class Rows {
 public:
  Rows(Run& run, const std::string& root) : run_(run), root_(root) {
    for (const Source& source : run.sources)
      if (source.root == root) ranks_[source.process].insert(source.root_rank);
    next_ = run.ranks;
  }
  int row_of(const Source& source) {
    const std::set<int>& here = ranks_[source.process];
    int pid;
    if (source.root == root_ || here.count(source.root_rank) > 0)
      pid = source.root_rank;
    else if (here.size() == 1)
      pid = *here.begin();
    else
      pid = others_.emplace(source.root + " " + std::to_string(source.root_rank), next_).first->second;
    if (pid == next_) ++next_;
    const std::string who = pid < run_.ranks ? "rank " + std::to_string(pid) : "rank " + std::to_string(source.root_rank) + " of " + source.communicator;
    run_.names.emplace(pid, who + " (pid " + std::to_string(source.pid) + " on " + source.host + ")");
    return pid;
  }

 private:
  Run& run_;
  const std::string root_;
  std::map<std::string, std::set<int>> ranks_;  // by process
  std::map<std::string, int> others_;
  int next_ = 0;
};

}  // namespace

Run run_of(std::vector<Source> all) {
  Run run;
  run.sources = latest(std::move(all), run.notes);
  const Source* largest = nullptr;
  for (const Source& source : run.sources)
    if (source.key == source.root && (!largest || source.ranks > largest->ranks || (source.ranks == largest->ranks && source.clock_ns < largest->clock_ns)))
      largest = &source;
  if (!largest) largest = &run.sources.front();
  run.ranks = largest->ranks;
  std::string reference = largest->machine;
  std::set<std::string> machines;
  for (const Source& source : run.sources) {
    machines.insert(source.machine);
    if (source.key == largest->key && source.rank == 0) reference = source.machine;
  }
  run.machines = machines.size();
  const auto base = std::find_if(run.sources.begin(), run.sources.end(), [&](const Source& one) { return one.machine == reference; });
  const std::map<std::string, Shift> shifts = shifts_of(run.sources, reference);
  std::set<std::pair<std::string, int>> traced;  // key and rank
  for (const Source& source : run.sources)
    if (!source.flight) traced.insert({source.key, source.rank});
  Rows rows(run, largest->root);
  bool guessed = false;
  for (const Source& source : run.sources) {
    const auto shift = shifts.find(source.machine);
    guessed = guessed || shift == shifts.end();
    const int64_t by_wall_clock = (source.wall_clock_ns - source.clock_ns) - (base->wall_clock_ns - base->clock_ns);
    run.rows.push_back({rows.row_of(source), shift == shifts.end() ? by_wall_clock : shift->second.ns,
                        source.flight && traced.count({source.key, source.rank}) > 0});
    if (shift != shifts.end()) run.uncertainty_ns = std::max(run.uncertainty_ns, shift->second.uncertainty_ns);
  }
  if (guessed) run.notes.push_back("the clocks of some machines were not compared: their times follow the wall clock");
  return run;
}

}  // namespace tutti::trace

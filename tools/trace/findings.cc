// findings: see findings.h.
#include "tools/trace/findings.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <set>

namespace tutti::trace {
namespace {

constexpr size_t kMostShown = 8;  // stragglers, and pairs of ranks
constexpr double kLeastShare = 0.001;  // of the run's time: less is not worth a line

std::string text_of_time(int64_t ns) {
  char text[32];
  if (ns >= 1'000'000'000)
    std::snprintf(text, sizeof text, "%.3f s", static_cast<double>(ns) * 1e-9);
  else if (ns >= 1'000'000)
    std::snprintf(text, sizeof text, "%.2f ms", static_cast<double>(ns) * 1e-6);
  else
    std::snprintf(text, sizeof text, "%.1f us", static_cast<double>(ns) * 1e-3);
  return text;
}

std::string number(uint64_t count, const char* what) { return std::to_string(count) + " " + what + (count == 1 ? "" : "s"); }

}  // namespace

Findings::Findings(const Run& run) : run_(run) {
  for (size_t i = 0; i < run.sources.size(); ++i) pids_[{run.sources[i].key, run.sources[i].rank}] = run.rows[i].pid;
}

void Findings::add(size_t index, const Json& event) {
  const Source& source = run_.sources[index];
  const Json& about = arguments_of(event);
  const std::string category = text_in(event, "cat"), name = text_in(event, "name");
  if (name == "left out") left_out_[index] = {number_in(about, "calls"), number_in(about, "details")};
  const int64_t begin = time_in(event, "ts") + run_.rows[index].shift_ns, end = begin + time_in(event, "dur");
  if (text_in(event, "ph") == "M") return;
  first_ns_ = events_ == 0 ? begin : std::min(first_ns_, begin);
  last_ns_ = events_++ == 0 ? end : std::max(last_ns_, end);
  const std::string text = text_in(about, "call") + " #" + std::to_string(number_in(about, "number"));
  if (source.flight) {
    if (text_in(event, "ph") == "B") unfinished_[index] = {text, begin};
    return;
  }
  if (category == "wait") {
    const auto peer = pids_.find({source.key, static_cast<int>(number_in(about, "peer"))});
    if (peer == pids_.end()) return;
    auto& [ns, times] = waits_[{run_.rows[index].pid, peer->second}];
    ns += end - begin;
    ++times;
  }
  if (category != "call") return;
  last_[{source.key, source.rank}] = {text, begin, end};
  if (about.contains("peer")) return;  // a Send or Recv
  Calls& calls = calls_[source.key];
  const uint64_t which = static_cast<uint64_t>(number_in(about, "number"));
  std::vector<Arrival>& arrivals = calls.arrivals[which];
  arrivals.push_back({source.rank, begin, end});
  if (arrivals.size() == 1) calls.names[which] = text + " of " + source.communicator;
}

std::map<int, Lateness> Findings::lateness_of(const std::string& key, uint64_t& compared, uint64_t& other) const {
  std::map<int, Lateness> late;
  const auto& calls = calls_.at(key);
  const auto source = std::find_if(run_.sources.begin(), run_.sources.end(), [&](const Source& one) { return one.key == key; });
  for (const auto& [which, given] : calls.arrivals) {
    std::vector<Arrival> arrivals = given;
    if (source->ranks < 2) continue;
    if (arrivals.size() != static_cast<size_t>(source->ranks)) {
      ++other;
      continue;
    }
    ++compared;
    std::sort(arrivals.begin(), arrivals.end(), [](const Arrival& a, const Arrival& b) { return a.begin_ns < b.begin_ns; });
    const Arrival& last = arrivals.back();
    const int64_t before = arrivals[arrivals.size() - 2].begin_ns;
    int64_t others_end = before;
    for (const Arrival& arrival : arrivals)
      if (&arrival != &last) others_end = std::max(others_end, arrival.end_ns);
    const int64_t cost = std::min(last.begin_ns, others_end) - before;
    Lateness& mine = late[pids_.at({key, last.rank})];
    ++mine.last;
    if (cost <= 2 * run_.uncertainty_ns) continue;  // the clocks could be off by so much
    mine.cost_ns += cost;
    if (cost <= mine.worst_ns) continue;
    mine.worst_ns = cost;
    mine.worst = calls.names.at(which);
  }
  return late;
}

std::string Findings::stragglers() const {
  std::map<int, Lateness> all;
  uint64_t compared = 0, other = 0;
  for (const auto& [key, calls] : calls_)
    for (const auto& [pid, late] : lateness_of(key, compared, other)) {
      Lateness& mine = all[pid];
      mine.last += late.last;
      mine.cost_ns += late.cost_ns;
      if (late.worst_ns > mine.worst_ns) {
        mine.worst_ns = late.worst_ns;
        mine.worst = late.worst;
      }
    }
  std::string text = "stragglers: " + number(compared, "collective") + " compared";
  if (other > 0) text += ", " + std::to_string(other) + " not, because some rank's file does not have them";
  text += "\n";
  std::vector<std::pair<int, Lateness>> order(all.begin(), all.end());
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.second.cost_ns > b.second.cost_ns; });
  const double least = kLeastShare * static_cast<double>(last_ns_ - first_ns_);
  size_t shown = 0;
  for (const auto& [pid, late] : order) {
    if (shown == kMostShown || static_cast<double>(late.cost_ns) < least || late.cost_ns == 0) break;
    ++shown;
    text += "  " + run_.names.at(pid) + ": last in " + std::to_string(late.last) + ", held up the others for " + text_of_time(late.cost_ns) +
            " in all, at worst for " + text_of_time(late.worst_ns) + " in " + late.worst + "\n";
  }
  if (shown == 0 && compared > 0) text += "  none: no rank held up the others for more than a thousandth of the time\n";
  return text;
}

std::string Findings::waits() const {
  std::vector<std::pair<std::pair<int, int>, std::pair<int64_t, uint64_t>>> order(waits_.begin(), waits_.end());
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.second.first > b.second.first; });
  std::string text;
  for (size_t i = 0; i < order.size() && i < kMostShown; ++i)
    text += "  " + run_.names.at(order[i].first.first) + " for " + run_.names.at(order[i].first.second) + ": " +
            text_of_time(order[i].second.first) + ", " + number(order[i].second.second, "time") + "\n";
  return text.empty() ? "" : "waiting, the longest:\n" + text;
}

// Where a rank was when its communicator failed.
std::string Findings::moment_of(const Source& one, int rank, int64_t failed_ns) const {
  for (size_t i = 0; i < run_.sources.size(); ++i) {
    const Source& source = run_.sources[i];
    if (!source.flight || source.key != one.key || source.rank != rank) continue;
    const auto call = unfinished_.find(i);
    const int64_t failed = source.failed_ns + run_.rows[i].shift_ns;
    return source.doing + (call == unfinished_.end() ? "" : ", for " + text_of_time(failed - call->second.second));
  }
  const auto last = last_.find({one.key, rank});
  if (last == last_.end()) return "wrote no report";
  return "wrote no report; its last traced call is " + last->second.text + ", which ended " + text_of_time(failed_ns - last->second.end_ns) + " before";
}

std::string Findings::failures() const {
  std::string text;
  std::set<std::string> told;
  for (size_t i = 0; i < run_.sources.size(); ++i) {
    const Source& source = run_.sources[i];
    if (!source.flight || !told.insert(source.key).second) continue;
    int64_t failed = source.failed_ns + run_.rows[i].shift_ns;
    for (size_t k = i; k < run_.sources.size(); ++k)
      if (run_.sources[k].flight && run_.sources[k].key == source.key) failed = std::min(failed, run_.sources[k].failed_ns + run_.rows[k].shift_ns);
    text += source.communicator + " failed: " + source.failure + "\n";
    for (int rank = 0; rank < source.ranks; ++rank) text += "  rank " + std::to_string(rank) + ": " + moment_of(source, rank, failed) + "\n";
  }
  return text;
}

std::string Findings::text() const {
  std::set<std::string> communicators;
  for (const Source& source : run_.sources) communicators.insert(source.key);
  uint64_t calls = 0;
  for (const auto& [key, of] : calls_) calls += of.arrivals.size();
  std::string text = number(static_cast<uint64_t>(run_.ranks), "rank") + " on " + number(run_.machines, "machine") + ", " +
                     number(communicators.size(), "communicator") + ", " + number(calls, "collective") + ", " +
                     text_of_time(last_ns_ - first_ns_) + "\n";
  if (run_.machines > 1) text += "clocks: compared, certain to " + text_of_time(run_.uncertainty_ns) + "\n";
  for (const std::string& note : run_.notes) text += "note: " + note + "\n";
  int64_t lost_calls = 0, lost_details = 0;
  for (const auto& [source, lost] : left_out_) {
    lost_calls += lost.first;
    lost_details += lost.second;
  }
  if (lost_calls + lost_details > 0)
    text += "note: the ranks left out " + std::to_string(lost_calls) + " calls and " + std::to_string(lost_details) + " details that came too fast\n";
  text += failures();
  if (!calls_.empty()) text += stragglers();
  return text + waits();
}

}  // namespace tutti::trace

// picture: see picture.h.
#include "tools/trace/picture.h"

#include <algorithm>
#include <set>

namespace tutti::trace {
namespace {

// Places in Timeline::kinds.
enum Kind : uint32_t { kCall, kSend, kCombine, kWait, kInit };

uint32_t kind_of(const std::string& category, const std::string& name) {
  if (category == "wait") return kWait;
  if (category == "life") return kInit;
  if (category == "step") return name == "send" ? kSend : kCombine;
  return kCall;
}

std::string text_of(const std::string& category, const std::string& name, const Json& about) {
  if (category == "call") return text_in(about, "call") + " #" + std::to_string(number_in(about, "number"));
  if (category != "step" || !about.contains("peer")) return name;
  return name + (name == "send" ? " to rank " : " from rank ") + std::to_string(number_in(about, "peer"));
}

}  // namespace

Picture::Picture(const Run& run, int64_t zero_ns, size_t most) : run_(run), zero_ns_(zero_ns), most_(most) {
  for (const auto& [pid, name] : run.names) {
    ranks_[pid] = timeline_.ranks.size();
    timeline_.ranks.emplace_back().name = name.substr(0, name.find(" ("));
  }
  std::map<std::string, int> places;  // by machine
  std::set<std::string> communicators;
  for (size_t i = 0; i < run.sources.size(); ++i) {
    const Source& source = run.sources[i];
    const auto [place, fresh] = places.emplace(source.machine, static_cast<int>(places.size()));
    if (fresh) timeline_.places.push_back({source.host, -1});
    timeline_.ranks[ranks_.at(run.rows[i].pid)].place = place->second;
    communicators.insert(source.key);
    if (source.flight) timeline_.facts.emplace_back("rank " + std::to_string(source.rank) + " of " + source.communicator, source.doing);
  }
  timeline_.kinds = {"call", "send", "combine", "wait", "init"};
  timeline_.idle = "in no call";
  timeline_.title = std::to_string(run.ranks) + (run.ranks == 1 ? " rank on " : " ranks on ") + std::to_string(run.machines) +
                    (run.machines == 1 ? " machine" : " machines");
  timeline_.facts.insert(timeline_.facts.begin(), {{"source", "traced"}, {"communicators", std::to_string(communicators.size())}});
  for (const std::string& note : run.notes) timeline_.facts.emplace_back("note", note);
}

void Picture::add(size_t index, const Json& event) {
  const Source& source = run_.sources[index];
  const std::string phase = text_in(event, "ph");
  if (run_.rows[index].repeated || (phase != "X" && phase != "B")) return;
  const int64_t begin = time_in(event, "ts"), end = phase == "B" ? source.failed_ns : begin + time_in(event, "dur");
  const int64_t shift = run_.rows[index].shift_ns - zero_ns_;
  const auto us = [&](int64_t ns) { return static_cast<double>(std::max<int64_t>(0, ns + shift)) / 1000; };
  const Json& about = arguments_of(event);
  const std::string category = text_in(event, "cat"), name = text_in(event, "name"), algorithm = text_in(about, "algorithm");
  std::string note = source.communicator;
  if (!algorithm.empty()) note += ", by " + algorithm;
  if (about.contains("tile")) note += ", tile " + std::to_string(number_in(about, "tile"));
  if (phase == "B") note += ", not finished";
  timeline_.end = std::max(timeline_.end, us(end));
  spans_.push({ranks_.at(run_.rows[index].pid),
               {us(begin), us(std::max(begin, end)), kind_of(category, name), static_cast<uint64_t>(std::max<int64_t>(0, number_in(about, "bytes"))),
                text_of(category, name, about), note}});
  if (spans_.size() <= most_) return;
  spans_.pop();
  cut_ = true;
}

show::Timeline Picture::timeline() {
  timeline_.complete_until = cut_ && !spans_.empty() ? spans_.top().span.end : timeline_.end;
  for (; !spans_.empty(); spans_.pop()) timeline_.ranks[spans_.top().rank].spans.push_back(spans_.top().span);
  return std::move(timeline_);
}

}  // namespace tutti::trace

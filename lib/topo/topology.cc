// topology: builds the value from text or from paths; paths are renumbered so that places count from 0 within their parent.
//
// In: a line a person can write, or what discovery found. Out: places_[rank][level] and the shape of every level that
// splits. Invariant: ranks that share a place on level l share their places on all levels outside l.
#include "lib/topo/topology.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>

namespace tutti {
namespace {

// What a level costs when nothing was measured: orders of magnitude, so that the ranking of algorithms is sane.
struct KnownLevel {
  const char* name;
  Link link;
  bool memory;
};
constexpr KnownLevel kKnownLevels[] = {
    {"core", {150e-9, 25e9}, true},   {"cache", {250e-9, 20e9}, true}, {"numa", {400e-9, 15e9}, true},
    {"socket", {500e-9, 10e9}, true}, {"device", {5e-6, 50e9}, false}, {"npu", {5e-6, 50e9}, false},
    {"host", {20e-6, 1.25e9}, false}, {"switch", {25e-6, 1e9}, false}, {"rack", {30e-6, 1e9}, false},
    {"site", {5e-3, 0.1e9}, false},
};

bool find_level(std::string_view name, Topology::Level& level) {
  for (const KnownLevel& row : kKnownLevels)
    if (name == row.name) return level = {row.name, row.link, row.memory}, true;
  return false;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find_first_of(separators, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

// "3" or "2+3+1": how many places each parent place has.
Result<std::vector<int>> parse_counts(std::string_view word, std::string_view text) {
  std::vector<int> counts;
  for (std::string_view part : split(text, "+")) {
    int count = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), count);
    if (error != std::errc() || end != part.data() + part.size() || count < 1 || count > Topology::kMaxRanks)
      return fail(Code::InvalidArgument, "topology: '", word, "': '", part, "' is not a number of places from 1 to ",
                  Topology::kMaxRanks);
    counts.push_back(count);
  }
  return counts;
}

Link slower(const Link& a, const Link& b) {
  return {std::max(a.latency_s, b.latency_s), std::min(a.bandwidth_Bps, b.bandwidth_Bps)};
}

}  // namespace

Topology Topology::flat(int ranks) {
  return flat(ranks, kKnownLevels[0].link);
}

Topology Topology::flat(int ranks, const Link& link) {
  std::vector<std::vector<uint64_t>> paths;
  for (int rank = 0; rank < ranks; ++rank) paths.push_back({static_cast<uint64_t>(rank)});
  return from_paths({{"core", link, true}}, paths);
}

Result<Topology> Topology::synthetic(std::string_view text) {
  std::vector<Level> levels;
  std::vector<std::vector<uint64_t>> paths(1);  // of the places of the innermost level so far
  for (std::string_view word : split(text, " \t\n")) {
    if (word.empty()) continue;
    const size_t colon = word.find(':');
    if (colon == std::string_view::npos || colon == 0)
      return fail(Code::InvalidArgument, "topology: '", word, "' is not of the form level:count or level:count+count+...");
    Level level;
    if (!find_level(word.substr(0, colon), level)) {
      std::string known;
      for (const KnownLevel& row : kKnownLevels) known += concat(known.empty() ? "" : ", ", row.name);
      return fail(Code::InvalidArgument, "topology: '", word, "': unknown level '", word.substr(0, colon), "' (known: ", known, ")");
    }
    for (const Level& outer : levels)
      if (outer.name == level.name) return fail(Code::InvalidArgument, "topology: '", word, "': level given twice");
    Result<std::vector<int>> counts = parse_counts(word, word.substr(colon + 1));
    if (!counts.ok()) return counts.status();
    const std::vector<int>& count = counts.value();
    if (count.size() != 1 && count.size() != paths.size())
      return fail(Code::InvalidArgument, "topology: '", word, "': ", count.size(), " counts for ", paths.size(),
                  paths.size() == 1 ? " place" : " places", " of the level outside");
    std::vector<std::vector<uint64_t>> inner;
    for (size_t parent = 0; parent < paths.size(); ++parent) {
      const int places = count[count.size() == 1 ? 0 : parent];
      if (inner.size() + static_cast<size_t>(places) > kMaxRanks)
        return fail(Code::InvalidArgument, "topology: '", word, "': more than ", kMaxRanks, " ranks");
      for (int place = 0; place < places; ++place) {
        inner.push_back(paths[parent]);
        inner.back().push_back(static_cast<uint64_t>(place));
      }
    }
    paths = std::move(inner);
    levels.push_back(std::move(level));
  }
  if (levels.empty()) return fail(Code::InvalidArgument, "topology: no level given; an example: \"host:2 core:4\"");
  return from_paths(std::move(levels), paths);
}

Topology::Level Topology::known_level(std::string_view name) {
  Level level;
  [[maybe_unused]] const bool known = find_level(name, level);
  assert(known);
  return level;
}

Topology Topology::from_paths(std::vector<Level> levels, const std::vector<std::vector<uint64_t>>& paths,
                              std::span<const Uplink> uplinks) {
  Topology topology;
  topology.levels_ = std::move(levels);
  const size_t depth = topology.levels_.size();
  topology.places_.assign(paths.size(), std::vector<uint32_t>(depth));
  topology.index_ = topology.places_;
  // The identity of a place on the level outside: all ranks start in one.
  std::vector<uint32_t> parent(paths.size(), 0);
  uint32_t parents = 1;
  for (size_t level = 0; level < depth; ++level) {
    std::map<std::pair<uint32_t, uint64_t>, uint32_t> identity;  // (parent, path entry) -> place
    std::vector<uint32_t> children(parents, 0), number, size;
    for (size_t rank = 0; rank < paths.size(); ++rank) {
      assert(paths[rank].size() == depth);
      // Ranks that share the innermost place (a core with two ranks) still are two places.
      const uint64_t entry = level + 1 == depth ? rank : paths[rank][level];
      const auto [it, fresh] = identity.try_emplace({parent[rank], entry}, static_cast<uint32_t>(size.size()));
      if (fresh) {
        number.push_back(children[parent[rank]]++);
        size.push_back(0);
      }
      const uint32_t place = it->second;
      topology.places_[rank][level] = number[place];
      topology.index_[rank][level] = parent[rank] = place;
      ++size[place];
    }
    const Level& row = topology.levels_[level];
    std::vector<Link>& links = topology.uplinks_.emplace_back(size.size(), row.link);
    for (const Uplink& uplink : uplinks)
      if (uplink.level == level) links[topology.index_[static_cast<size_t>(uplink.rank)][level]] = uplink.link;
    if (size.size() > parents)
      topology.splits_.push_back({level, static_cast<int>(*std::max_element(children.begin(), children.end())),
                                  static_cast<int>(*std::max_element(size.begin(), size.end())),
                                  static_cast<int>(size.size()), std::accumulate(links.begin(), links.end(), links[0], slower),
                                  row.memory});
    parents = static_cast<uint32_t>(size.size());
  }
  return topology;
}

Link Topology::link(int a, int b) const {
  const size_t level = divergence(a, b);
  assert(level < levels_.size());
  return slower(uplink(a, level), uplink(b, level));
}

size_t Topology::divergence(int a, int b) const {
  const auto& x = places_[static_cast<size_t>(a)];
  const auto& y = places_[static_cast<size_t>(b)];
  return static_cast<size_t>(std::mismatch(x.begin(), x.end(), y.begin()).first - x.begin());
}

std::vector<std::vector<int>> Topology::groups(size_t level) const {
  assert(level < levels_.size());
  std::map<std::vector<uint32_t>, size_t> index;
  std::vector<std::vector<int>> groups;
  for (int rank = 0; rank < ranks(); ++rank) {
    const auto& path = places_[static_cast<size_t>(rank)];
    const std::vector<uint32_t> key(path.begin(), path.begin() + static_cast<ptrdiff_t>(level) + 1);
    const auto [it, fresh] = index.try_emplace(key, groups.size());
    if (fresh) groups.emplace_back();
    groups[it->second].push_back(rank);
  }
  return groups;
}

}  // namespace tutti

// explain: see explain.h.
#include "tools/explain.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <limits>

#include "lib/base/settings.h"
#include "lib/comm/plans.h"
#include "lib/topo/file.h"

namespace tutti {
namespace {

// The same places with other links; `change` sees each level.
Topology with_links(const Topology& topology, const std::function<void(size_t level, Link&)>& change) {
  const size_t depth = topology.levels().size();
  std::vector<std::vector<uint64_t>> paths(static_cast<size_t>(topology.ranks()), std::vector<uint64_t>(depth));
  std::vector<Topology::Uplink> uplinks;
  for (int rank = 0; rank < topology.ranks(); ++rank)
    for (size_t level = 0; level < depth; ++level) {
      paths[static_cast<size_t>(rank)][level] = topology.place(rank, level);
      Link link = topology.uplink(rank, level);
      change(level, link);
      uplinks.push_back({rank, level, link});
    }
  Topology changed = Topology::from_paths(topology.levels(), paths, uplinks);
  changed.set_crowding(topology.crowding());
  return changed;
}

std::string time_text(double seconds) {
  char text[32];
  const auto [unit, name] = seconds < 1e-3   ? std::pair(1e-6, "us")
                            : seconds < 1 ? std::pair(1e-3, "ms")
                                          : std::pair(1.0, "s");
  std::snprintf(text, sizeof text, seconds == 0 ? "0" : "%.*f %s", seconds / unit < 10 ? 2 : 1, seconds / unit, name);
  return text;
}

std::string links_text(const Topology& topology) {
  std::string text;
  for (const Topology::Split& split : topology.splits())
    text += concat("  ", split.places, " x ", topology.levels()[split.level].name, ": ", text_of_rate(split.link.bandwidth_Bps * 8),
                   ", ", text_of_time(split.link.latency_s), "\n");
  return text;
}

std::string row(const std::string& name, const PriceParts& parts, const char* mark) {
  char text[256];
  std::snprintf(text, sizeof text, "  %-14s %10s %10s %10s %10s %-7s %10s%s\n", name.c_str(), time_text(parts.total).c_str(),
                time_text(parts.latency).c_str(), time_text(parts.messages).c_str(), time_text(parts.wire).c_str(),
                parts.slowest.c_str(), time_text(parts.work).c_str(), mark);
  return text;
}

// What sets one price apart from a lower one.
std::string main_difference(const PriceParts& low, const PriceParts& high) {
  const std::pair<double, std::string> parts[] = {
      {high.latency - low.latency, "more latency: more messages wait for one another"},
      {high.messages - low.messages, "more messages to handle"},
      {high.wire - low.wire, concat("more bytes over the links", high.slowest.empty() ? "" : concat(" of a ", high.slowest))},
      {high.work - low.work, "more to add up and copy"}};
  const auto most = std::max_element(std::begin(parts), std::end(parts), [](const auto& a, const auto& b) { return a.first < b.first; });
  return concat(time_text(most->first), " for ", most->second);
}

}  // namespace

PriceParts parts_of(const Algorithm& algorithm, const Problem& problem, size_t bytes) {
  constexpr double kEndless = std::numeric_limits<double>::max();
  const auto price = [&](const Topology& topology, size_t size) {
    Problem changed{problem.collective, problem.root, problem.rank, problem.ranks, problem.in_place, problem.uniform, topology,
                    problem.mapped};
    return algorithm.price(changed, size);
  };
  const Topology& topology = problem.topology;
  const Topology ideal = with_links(topology, [](size_t, Link& link) { link = {0, kEndless}; });
  PriceParts parts{};
  parts.total = price(topology, bytes);
  parts.messages = price(ideal, 0);
  parts.latency = price(topology, 0) - parts.messages;
  // A price may be the larger of two things: then parts overlap.
  const double rest = std::max(0.0, parts.total - parts.messages - parts.latency);
  parts.work = std::min(rest, price(ideal, bytes) - parts.messages);
  parts.wire = rest - parts.work;
  double most = 0;
  for (const Topology::Split& split : topology.splits()) {
    const Topology one = with_links(topology, [&](size_t level, Link& link) {
      link = {0, level == split.level ? link.bandwidth_Bps : kEndless};
    });
    if (const double wire = price(one, bytes); wire > most) {
      most = wire;
      parts.slowest = parts.wire > 0 ? topology.levels()[split.level].name : "";
    }
  }
  return parts;
}

Result<const Algorithm*> choose(const Problem& problem, size_t bytes, bool& forced) {
  const Result<Settings> settings = Settings::load();
  if (!settings.ok()) return settings.status();
  const Result<ForcedAlgorithms> algo = ForcedAlgorithms::parse(settings.value().text(Setting::Algo));
  if (!algo.ok()) return settings.value().about(Setting::Algo, algo.status());
  const std::string& name = algo.value().name(problem.collective);
  forced = !name.empty();
  Result<const Algorithm*> chosen = select(problem, deciding_bytes(bytes), name);
  // As in Plans: a name for all collectives serves where it can.
  if (chosen.ok() || !forced) return chosen;
  if (algo.value().strict(problem.collective)) return settings.value().about(Setting::Algo, chosen.status());
  forced = false;
  return select(problem, deciding_bytes(bytes));
}

Result<std::string> explain(const Problem& problem, const std::string& size, size_t bytes) {
  bool forced = false;
  const Result<const Algorithm*> chosen = choose(problem, bytes, forced);
  if (!chosen.ok()) return chosen.status();
  const std::vector<Choice> choices = rank_algorithms(problem, bytes);
  std::string text = concat(name_of(problem.collective), " of ", size, " bytes over ", problem.ranks, " ranks: ", chosen.value()->name,
                            forced ? ", because TUTTI_ALGO says so" : "", "\n", links_text(problem.topology));
  char head[256];
  std::snprintf(head, sizeof head, "  %-14s %10s %10s %10s %10s %-7s %10s\n", "", "price", "latency", "messages", "wire", "of", "work");
  text += head;
  for (const Choice& choice : choices)
    text += row(choice.algorithm->name, parts_of(*choice.algorithm, problem, bytes), choice.algorithm == chosen.value() ? "  <- chosen" : "");

  const Choice& cheapest = choices.front();
  const PriceParts best = parts_of(*cheapest.algorithm, problem, bytes);
  if (forced && cheapest.algorithm != chosen.value())
    text += concat("by price it would be ", cheapest.algorithm->name, "\n");
  else if (cheapest.algorithm != chosen.value())
    text += concat(chosen.value()->name, " is the cheapest for ", deciding_bytes(bytes), " bytes, which decides for all sizes below ",
                   2 * deciding_bytes(bytes), "\n");
  if (choices.size() > 1)
    text += concat(choices[1].algorithm->name, " would take ", time_text(choices[1].seconds - cheapest.seconds), " longer than ",
                   cheapest.algorithm->name, "; it takes ", main_difference(best, parts_of(*choices[1].algorithm, problem, bytes)), "\n");
  return text;
}

}  // namespace tutti

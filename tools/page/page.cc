// page: see page.h.
#include "tools/page/page.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

namespace tutti {
namespace {

using Json = nlohmann::json;

double microseconds(double seconds) { return seconds * 1e6; }

const char* kind_of(const SimulationEvent& event) { return event.kind == SimulationEvent::Kind::Send ? "send" : "combine"; }

std::string name_of(const Run& run, const SimulationEvent& event) {
  const Program& program = run.programs[static_cast<size_t>(event.rank)];
  const Work& work = program.works[event.work];
  std::string peers;
  size_t others = 0;
  for (uint32_t i = work.first; i < work.first + work.count; ++i) {
    const int peer = work.kind == Work::Kind::Send ? program.targets[i].peer : program.sources[i].peer;
    if (peer < 0) continue;
    if (++others <= 4) peers += concat(others == 1 ? "" : ", ", peer);
  }
  if (others > 4) peers += concat(" and ", others - 4, " more");
  if (work.kind == Work::Kind::Send) return concat("sends to ", peers);
  if (others == 0) return "copies";
  return concat(others == work.count && others == 1 ? "receives from " : "combines with ", peers);
}

Json links_of(const Run& run) {
  const Simulation& simulation = run.simulation;
  std::vector<const LinkUse*> links;
  for (const LinkUse& use : simulation.links)
    if (use.out_bytes + use.in_bytes > 0) links.push_back(&use);
  const auto busy = [&](const LinkUse& use) { return std::max(use.out_bytes, use.in_bytes) / use.link.bandwidth_Bps / simulation.seconds; };
  std::stable_sort(links.begin(), links.end(), [&](const LinkUse* a, const LinkUse* b) { return busy(*a) > busy(*b); });
  Json all = Json::array();
  for (const LinkUse* use : links)
    all.push_back({{"level", use->level}, {"place", use->place}, {"out", use->out_bytes}, {"in", use->in_bytes}, {"busy", busy(*use)},
                   {"rate", use->link.bandwidth_Bps * 1e-6}});
  return all;
}

Json data_of(const Run& run) {
  const Topology& topology = run.topology;
  Json data{{"title", run.title}, {"facts", run.facts}, {"end", microseconds(run.simulation.seconds)}, {"links", links_of(run)}};
  data["notice"] = run.simulation.events_cut ? concat("Only the first ", run.simulation.events.size(), " events are shown.") : "";
  for (const Topology::Level& level : topology.levels()) data["levels"].push_back(level.name);
  for (int rank = 0; rank < topology.ranks(); ++rank) {
    Json places = Json::array();
    for (size_t level = 0; level < topology.levels().size(); ++level) places.push_back(topology.place_in_all(rank, level));
    data["ranks"].push_back({{"name", concat("rank ", rank)}, {"busy", microseconds(run.simulation.ranks[static_cast<size_t>(rank)].busy_s)}, {"places", places}});
  }
  Json &spans = data["spans"] = Json::array(), &messages = data["messages"] = Json::array();
  for (const SimulationEvent& event : run.simulation.events)
    if (event.kind != SimulationEvent::Kind::Transfer)
      spans.push_back({event.rank, kind_of(event), name_of(run, event), microseconds(event.begin_s), microseconds(event.end_s), event.bytes, event.tile});
  for (const Message& message : messages_of(run))
    messages.push_back({message.from, message.to, microseconds(message.begin_s), microseconds(message.end_s), message.bytes, message.tile, message.network ? 1 : 0});
  return data;
}

}  // namespace

std::vector<Message> messages_of(const Run& run) {
  std::vector<Message> messages;
  std::map<std::tuple<int, int, uint8_t, uint32_t, uint32_t>, const SimulationEvent*> sent;  // from, to, channel, message, tile
  const auto by_memory = [&](int a, int b) {
    const size_t level = run.topology.divergence(a, b);
    return level < run.topology.levels().size() && run.topology.levels()[level].memory;
  };
  for (const SimulationEvent& event : run.simulation.events) {
    if (event.kind == SimulationEvent::Kind::Transfer)
      messages.push_back({event.rank, event.peer, event.begin_s, event.end_s, event.bytes, event.tile, true});
    if (event.kind != SimulationEvent::Kind::Send) continue;
    const Program& program = run.programs[static_cast<size_t>(event.rank)];
    const Work& work = program.works[event.work];
    for (uint32_t i = work.first; i < work.first + work.count; ++i)
      sent[{event.rank, program.targets[i].peer, program.targets[i].channel, program.targets[i].message, event.tile}] = &event;
  }
  for (const SimulationEvent& event : run.simulation.events) {
    if (event.kind != SimulationEvent::Kind::Combine) continue;
    const Program& program = run.programs[static_cast<size_t>(event.rank)];
    const Work& work = program.works[event.work];
    for (uint32_t i = work.first; i < work.first + work.count; ++i) {
      const Source& source = program.sources[i];
      if (source.peer < 0 || !by_memory(source.peer, event.rank)) continue;
      const auto send = sent.find({source.peer, event.rank, source.channel, source.message, event.tile});
      if (send == sent.end()) continue;
      const double end_s = std::max(send->second->end_s, event.begin_s);
      messages.push_back({source.peer, event.rank, send->second->end_s, end_s, event.bytes, event.tile, false});
    }
  }
  return messages;
}

std::string page_of(const Run& run) {
  std::string data = data_of(run).dump(-1, ' ', false, Json::error_handler_t::replace);
  // A name in it must not end the script.
  for (size_t at = 0; (at = data.find('<', at)) != std::string::npos;) data.replace(at, 1, "\\u003c");
  std::string page = kPage;
  constexpr std::string_view kPlace = "@DATA@";
  return page.replace(page.find(kPlace), kPlace.size(), data);
}

}  // namespace tutti

// sources: see sources.h.
#include "tools/page/sources.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "lib/sched/print.h"

namespace tutti::show {
namespace {

constexpr uint32_t kSend = 0, kCombine = 1;
constexpr double kSent = 0.4, kReceived = 0.6;  // of a step

// Innermost places hold one rank each: they are the ranks.
void add_places(const Topology& topology, Timeline& timeline) {
  const size_t depth = topology.levels().size();
  timeline.ranks.resize(static_cast<size_t>(topology.ranks()));
  std::map<std::pair<size_t, uint32_t>, int> known;  // (level, place)
  for (int rank = 0; rank < topology.ranks(); ++rank) {
    int parent = -1;
    for (size_t level = 0; level + 1 < depth; ++level) {
      const uint32_t place = topology.place_in_all(rank, level);
      const auto [it, fresh] = known.try_emplace({level, place}, static_cast<int>(timeline.places.size()));
      if (fresh) timeline.places.push_back({concat(topology.levels()[level].name, " ", place), parent});
      parent = it->second;
    }
    timeline.ranks[static_cast<size_t>(rank)].place = parent;
  }
}

std::string way_of(const Topology& topology, int from, int to) {
  const size_t level = topology.divergence(from, to);
  if (level >= topology.levels().size()) return "to itself";
  return concat(topology.levels()[level].memory ? "memory" : "network", ", between ", topology.levels()[level].name, "s");
}

bool by_network(const Topology& topology, int from, int to) {
  const size_t level = topology.divergence(from, to);
  return level < topology.levels().size() && !topology.levels()[level].memory;
}

void add_links(const Topology& topology, const Simulation& simulation, Timeline& timeline) {
  const Loads& loads = simulation.loads;
  const size_t depth = topology.levels().size(), first_rank = 2 * simulation.links.size();
  const size_t used = std::min(loads.slots(), static_cast<size_t>(std::ceil(simulation.seconds / loads.slot_s())));
  timeline.slot = loads.slot_s() * 1e6;
  const auto shares = [&](size_t row, double most) {
    std::vector<double> shares;
    for (size_t slot = 0; slot < used; ++slot) {
      // The last slot ends with the run.
      const double seconds = std::min(loads.slot_s(), simulation.seconds - static_cast<double>(slot) * loads.slot_s());
      // Where very many flows share links, the simulator lets them have a little too much for a moment (flows.h).
      shares.push_back(seconds > 0 ? std::min(1.0, loads.at(row, slot) / seconds / most) : 0);
    }
    return shares;
  };
  std::map<std::string, int> places;
  for (size_t i = 0; i < timeline.places.size(); ++i) places[timeline.places[i].name] = static_cast<int>(i);
  for (size_t i = 0; i < simulation.links.size(); ++i) {
    const LinkUse& use = simulation.links[i];
    const bool of_rank = use.level + 1 == depth;
    const std::string& level = topology.levels()[use.level].name;
    const std::string name = concat(level, " ", use.place);
    for (const bool out : {true, false}) {
      const double bytes = out ? use.out_bytes : use.in_bytes;
      if (bytes == 0) continue;
      timeline.links.push_back({concat(name, out ? " out" : " in"), level, of_rank ? -1 : places.at(name), of_rank ? use.rank : -1, out,
                                use.link.bandwidth_Bps, bytes, shares(2 * i + !out, use.link.bandwidth_Bps)});
    }
  }
  for (size_t rank = 0; rank < timeline.ranks.size(); ++rank) timeline.ranks[rank].busy = shares(first_rank + rank, 1);
}

}  // namespace

Timeline timeline_of(const Topology& topology, std::span<const Program> programs, const Simulation& simulation) {
  Timeline timeline;
  add_places(topology, timeline);
  const size_t shown = std::min(simulation.events.size(), kMostOnPage);
  const std::span<const SimulationEvent> events = std::span(simulation.events).first(shown);
  timeline.end = timeline.complete_until = simulation.seconds * 1e6;
  if (simulation.events_cut || shown < simulation.events.size()) timeline.complete_until = events.back().end_s * 1e6;
  // A payload in memory is there until the Combine that reads it is done.
  std::map<std::tuple<int, uint32_t, uint32_t>, double> read;  // rank, work, tile -> end
  for (const SimulationEvent& event : events)
    if (event.kind == SimulationEvent::Kind::Combine) read[{event.rank, event.work, event.tile}] = event.end_s;
  const auto end_of = [&](const SimulationEvent& event) {
    const auto it = read.find({event.peer, event.peer_work, event.tile});
    return event.kind == SimulationEvent::Kind::InMemory && it != read.end() ? it->second : event.arrival_s;
  };
  for (const SimulationEvent& event : events) {
    const std::string note = simulation.tiles > 1 ? concat("tile ", event.tile) : "";
    const size_t rank = static_cast<size_t>(event.rank);
    if (event.peer >= 0) {
      const bool network = event.kind == SimulationEvent::Kind::Transfer;
      timeline.messages.push_back({event.rank, event.peer, event.begin_s * 1e6, end_of(event) * 1e6, network, event.bytes,
                                   way_of(topology, event.rank, event.peer), note});
      continue;
    }
    const Program& program = programs[rank];
    timeline.ranks[rank].spans.push_back({event.begin_s * 1e6, event.end_s * 1e6,
                                          event.kind == SimulationEvent::Kind::Send ? kSend : kCombine, event.bytes,
                                          text_of(program, program.works[event.work]), note});
  }
  add_links(topology, simulation, timeline);
  return timeline;
}

size_t size_of(std::span<const Program> programs) {
  size_t size = 0;
  for (const Program& program : programs) size += program.works.size() + program.targets.size();
  return size;
}

Timeline timeline_of(const Topology& topology, std::span<const Program> programs) {
  Timeline timeline;
  timeline.unit = Timeline::Unit::Steps;
  timeline.amount_unit = "chunks";
  add_places(topology, timeline);
  const std::vector<std::vector<uint32_t>> done = steps_of(programs);
  for (size_t rank = 0; rank < programs.size(); ++rank) {
    const Program& program = programs[rank];
    for (size_t i = 0; i < program.works.size(); ++i) {
      const Work& work = program.works[i];
      const std::string name = text_of(program, work);
      if (work.kind == Work::Kind::Combine) {
        const double end = std::max(1.0, static_cast<double>(done[rank][i]));  // what waits for no message belongs to the first step
        timeline.ranks[rank].spans.push_back({end - 1 + kReceived, end, kCombine, work.chunks, name, ""});
        timeline.end = std::max(timeline.end, end);
        continue;
      }
      const double begin = done[rank][i];
      timeline.ranks[rank].spans.push_back({begin, begin + kSent, kSend, work.chunks, name, ""});
      timeline.end = std::max(timeline.end, begin + 1);
      for (uint32_t k = work.first; k < work.first + work.count; ++k) {
        const int from = static_cast<int>(rank), to = program.targets[k].peer;
        timeline.messages.push_back({from, to, begin + kSent, begin + kReceived, by_network(topology, from, to), work.chunks,
                                     way_of(topology, from, to), ""});
      }
    }
  }
  timeline.complete_until = timeline.end;
  return timeline;
}

}  // namespace tutti::show

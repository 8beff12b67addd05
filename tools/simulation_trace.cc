// simulation_trace: see simulation_trace.h. Format: the array of events that chrome://tracing and ui.perfetto.dev read; a process per outermost place.
#include "tools/simulation_trace.h"

#include <cstdarg>
#include <cstdio>

namespace tutti {
namespace {

[[gnu::format(printf, 2, 3)]] void add(std::string& text, const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  text += line;
}

}  // namespace

std::string trace_of(const Topology& topology, const Simulation& simulation) {
  std::string text = "[\n";
  const size_t level = topology.splits().empty() ? 0 : topology.splits().front().level;
  const std::string& name = topology.levels()[level].name;
  for (int rank = 0; rank < topology.ranks(); ++rank) {
    const uint32_t place = topology.place_in_all(rank, level);
    add(text, "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%u,\"args\":{\"name\":\"%s %u\"}},\n", place, name.c_str(), place);
    add(text, "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%u,\"tid\":%d,\"args\":{\"name\":\"rank %d\"}},\n", place, rank, rank);
  }
  size_t number = 0;
  for (const SimulationEvent& event : simulation.events) {
    const uint32_t place = topology.place_in_all(event.rank, level);
    const double begin_us = event.begin_s * 1e6, end_us = event.end_s * 1e6;
    ++number;
    if (event.peer >= 0) {  // a payload; several at once: begin and end apart
      for (const bool ends : {false, true})
        add(text,
            "{\"ph\":\"%s\",\"cat\":\"transfer\",\"id\":%zu,\"name\":\"%d to %d\",\"pid\":%u,\"tid\":%d,\"ts\":%.6f,"
            "\"args\":{\"tile\":%u,\"bytes\":%llu}},\n",
            ends ? "e" : "b", number, event.rank, event.peer, place, event.rank, ends ? end_us : begin_us, event.tile,
            static_cast<unsigned long long>(event.bytes));
      continue;
    }
    add(text,
        "{\"ph\":\"X\",\"name\":\"%s %u\",\"pid\":%u,\"tid\":%d,\"ts\":%.6f,\"dur\":%.6f,"
        "\"args\":{\"tile\":%u,\"bytes\":%llu}},\n",
        event.kind == SimulationEvent::Kind::Send ? "send" : "combine", event.work, place, event.rank, begin_us,
        end_us - begin_us, event.tile, static_cast<unsigned long long>(event.bytes));
  }
  add(text, "{\"ph\":\"M\",\"name\":\"simulated\",\"pid\":0,\"args\":{\"seconds\":%.9f}}\n]\n", simulation.seconds);
  return text;
}

}  // namespace tutti

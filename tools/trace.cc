// trace: see trace.h. Format: the array of events that chrome://tracing and ui.perfetto.dev read; a process per outermost place.
#include "tools/trace.h"

#include <cerrno>
#include <cstdio>

namespace tutti {

Status write_trace(const std::string& path, const Topology& topology, const Simulation& simulation) {
  std::FILE* const file = std::fopen(path.c_str(), "w");
  if (!file) return system_failure(concat("--trace ", path), errno);
  const size_t level = topology.splits().empty() ? 0 : topology.splits().front().level;
  const std::string& name = topology.levels()[level].name;
  std::fputs("[\n", file);
  for (int rank = 0; rank < topology.ranks(); ++rank) {
    const uint32_t place = topology.place_in_all(rank, level);
    std::fprintf(file, "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%u,\"args\":{\"name\":\"%s %u\"}},\n", place,
                 name.c_str(), place);
    std::fprintf(file, "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%u,\"tid\":%d,\"args\":{\"name\":\"rank %d\"}},\n",
                 place, rank, rank);
  }
  size_t number = 0;
  for (const SimulationEvent& event : simulation.events) {
    const uint32_t place = topology.place_in_all(event.rank, level);
    const double begin_us = event.begin_s * 1e6, end_us = event.end_s * 1e6;
    ++number;
    if (event.kind == SimulationEvent::Kind::Transfer) {  // several at once: begin and end apart
      for (const bool ends : {false, true})
        std::fprintf(
            file,
            "{\"ph\":\"%s\",\"cat\":\"transfer\",\"id\":%zu,\"name\":\"%d to %d\",\"pid\":%u,\"tid\":%d,\"ts\":%.6f,"
            "\"args\":{\"tile\":%u,\"bytes\":%llu}},\n",
            ends ? "e" : "b", number, event.rank, event.peer, place, event.rank, ends ? end_us : begin_us, event.tile,
            static_cast<unsigned long long>(event.bytes));
      continue;
    }
    std::fprintf(file,
                 "{\"ph\":\"X\",\"name\":\"%s %u\",\"pid\":%u,\"tid\":%d,\"ts\":%.6f,\"dur\":%.6f,"
                 "\"args\":{\"tile\":%u,\"bytes\":%llu}},\n",
                 event.kind == SimulationEvent::Kind::Send ? "send" : "combine", event.work, place, event.rank, begin_us,
                 end_us - begin_us, event.tile, static_cast<unsigned long long>(event.bytes));
  }
  std::fprintf(file, "{\"ph\":\"M\",\"name\":\"simulated\",\"pid\":0,\"args\":{\"seconds\":%.9f}}\n]\n", simulation.seconds);
  const bool failed = std::ferror(file) != 0;
  if (std::fclose(file) != 0 || failed) return system_failure(concat("--trace ", path), errno);
  return {};
}

}  // namespace tutti

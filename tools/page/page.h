// page: a simulated run as one HTML page that needs no network, and as an SVG picture. README.md describes what the page is given.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "lib/sched/simulate.h"

namespace tutti {

inline constexpr size_t kMostPageEvents = 100'000;  // more make the page slow

struct Run {
  std::string title, facts;
  const Topology& topology;
  std::span<const Program> programs;  // of all ranks
  const Simulation& simulation;       // with events
};

std::string page_of(const Run& run);
// Ranks as rows, time to the right, and a line for each message.
std::string svg_of(const Run& run);

// A payload on its way. Through memory: from the end of the Send to the beginning of the Combine that reads it.
struct Message {
  int from, to;
  double begin_s, end_s;
  uint64_t bytes;
  uint32_t tile;
  bool network;
};
std::vector<Message> messages_of(const Run& run);

extern const char* const kPage;  // page.html with its parts, but without data

}  // namespace tutti

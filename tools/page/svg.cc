// svg: a run as a picture; see page.h.
#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>

#include "tools/page/page.h"

namespace tutti {
namespace {

constexpr double kLeft = 74, kTop = 58, kWidth = 960, kRight = 16, kBottom = 16;

[[gnu::format(printf, 2, 3)]] void add(std::string& text, const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  text += line;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else
      out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out;
}

// 1, 2 or 5 times a power of ten, so that there are 10 marks at most.
double mark_step(double end_us) {
  const double raw = end_us / 10, power = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= raw) return factor * power;
  return 10 * power;
}

}  // namespace

std::string svg_of(const Run& run) {
  const int ranks = run.topology.ranks();
  const double row = std::clamp(480.0 / ranks, 6.0, 24.0), end_us = std::max(run.simulation.seconds * 1e6, 1e-6);
  const double height = kTop + row * ranks + kBottom;
  const auto x_of = [&](double seconds) { return kLeft + seconds * 1e6 / end_us * kWidth; };
  const auto middle_of = [&](int rank) { return kTop + row * (rank + 0.5); };
  std::string svg;
  add(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\" font-size=\"11\">\n", kLeft + kWidth + kRight, height);
  svg += "<style>.send{fill:#0072b2}.combine{fill:#e69f00}.message{stroke:#009e73;stroke-width:1;opacity:.6}.mark{stroke:#ccc}"
         ".soft{fill:#555}</style>\n";
  add(svg, "<rect width=\"%.0f\" height=\"%.0f\" fill=\"#fff\"/>\n", kLeft + kWidth + kRight, height);
  svg += concat("<text x=\"8\" y=\"17\" font-size=\"14\">", escaped(run.title), "</text>\n<text x=\"8\" y=\"33\" class=\"soft\">", escaped(run.facts), "</text>\n");
  const double legend = kLeft + kWidth - 210;
  add(svg, "<rect x=\"%.0f\" y=\"8\" width=\"10\" height=\"10\" class=\"send\"/><text x=\"%.0f\" y=\"17\">send</text>\n", legend, legend + 14);
  add(svg, "<rect x=\"%.0f\" y=\"8\" width=\"10\" height=\"10\" class=\"combine\"/><text x=\"%.0f\" y=\"17\">combine</text>\n", legend + 55, legend + 69);
  add(svg, "<line x1=\"%.0f\" x2=\"%.0f\" y1=\"13\" y2=\"13\" class=\"message\"/><text x=\"%.0f\" y=\"17\">message</text>\n", legend + 135, legend + 150, legend + 154);
  for (double us = 0, step = mark_step(end_us); us <= end_us; us += step) {
    const double x = kLeft + us / end_us * kWidth;
    add(svg, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.0f\" y2=\"%.0f\" class=\"mark\"/><text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\" class=\"soft\">%g us</text>\n", x, x,
        kTop - 3, height - kBottom, x, kTop - 8, us);
  }
  for (int rank = 0, every = static_cast<int>(std::ceil(12 / row)); rank < ranks; rank += every)
    add(svg, "<text x=\"8\" y=\"%.1f\">rank %d</text>\n", middle_of(rank) + 4, rank);
  for (const SimulationEvent& event : run.simulation.events) {
    if (event.kind == SimulationEvent::Kind::Transfer) continue;
    add(svg, "<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\" class=\"%s\"/>\n", x_of(event.begin_s), middle_of(event.rank) - row / 2 + 1,
        std::max(0.5, x_of(event.end_s) - x_of(event.begin_s)), row - 2, event.kind == SimulationEvent::Kind::Send ? "send" : "combine");
  }
  for (const Message& message : messages_of(run))
    add(svg, "<line x1=\"%.2f\" y1=\"%.1f\" x2=\"%.2f\" y2=\"%.1f\" class=\"message\"/>\n", x_of(message.begin_s), middle_of(message.from), x_of(message.end_s),
        middle_of(message.to));
  return svg + "</svg>\n";
}

}  // namespace tutti

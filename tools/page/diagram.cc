// diagram: see diagram.h. Spans of a rank that overlap are in lanes, one above the other.
#include "tools/page/diagram.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>

#include "lib/base/status.h"
#include "tools/markup.h"

namespace tutti::show {
namespace {

constexpr double kLeft = 76, kTop = 88, kPad = 16, kLane = 18, kRowGap = 16, kGlyph = 6.4, kMostWidth = 6000, kStepWidth = 240;
constexpr double kTimeWidth = 1100;  // of a timeline in microseconds

// The colours of Okabe and Ito can be told apart by people who confuse colours.
constexpr const char* kStyle =
    "<style>text{font:11px Helvetica,Arial,sans-serif;fill:#1c2430}.title{font-size:16px;font-weight:bold}.soft{fill:#5b6675}"
    ".ground{fill:#fff}.row{fill:#f1f3f6}.mark{stroke:#d9dee5}.send{fill:#0072b2}.combine{fill:#e69f00}.other{fill:#009e73}"
    ".on-send{fill:#fff}.network{stroke:#b0467f;fill:#b0467f}.memory{stroke:#6b7787;fill:#6b7787}"
    "@media(prefers-color-scheme:dark){text{fill:#e8ecf1}.soft{fill:#9aa6b5}.ground{fill:#12161c}.row{fill:#222a34}.mark{stroke:#323b47}"
    ".send{fill:#4ba3dd}.combine{fill:#f0b442}.other{fill:#2fbf97}.on-send,.on-other{fill:#0d1116}.network{stroke:#f08cc0;fill:#f08cc0}"
    ".memory{stroke:#93a0b1;fill:#93a0b1}}</style>\n";

struct Placed {
  const Timeline::Span* span;
  size_t lane;
};

// The colour says the verb: "send input[0..1) to 1#0" may be "input[0..1)".
std::string shortened(const std::string& name, size_t room) {
  if (name.size() <= room) return name;
  const size_t verb = name.find(' ') + 1;  // 0 if there is none
  const std::string text = name.substr(verb, name.find(' ', verb) - verb);
  return text.size() <= room ? text : text.substr(0, room - 2) + "..";
}

// In the order of time, each in the first lane that is free.
std::vector<Placed> place(const std::vector<Timeline::Span>& spans, size_t& lanes) {
  std::vector<Placed> placed;
  for (const Timeline::Span& span : spans) placed.push_back({&span, 0});
  std::stable_sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) { return a.span->begin < b.span->begin; });
  std::vector<double> ends;
  for (Placed& one : placed) {
    const auto free = std::find_if(ends.begin(), ends.end(), [&](double end) { return end <= one.span->begin; });
    one.lane = static_cast<size_t>(free - ends.begin());
    if (free == ends.end()) ends.push_back(0);
    ends[one.lane] = one.span->end;
  }
  lanes = std::max<size_t>(1, ends.size());
  return placed;
}

class Diagram {
 public:
  explicit Diagram(const Timeline& timeline) : timeline_(timeline) {
    const bool steps = timeline.unit == Timeline::Unit::Steps;
    width_ = steps ? std::min(kMostWidth, kStepWidth * timeline.end) : kTimeWidth;
    double y = kTop;
    for (const Timeline::Rank& rank : timeline.ranks) {
      size_t lanes = 1;
      placed_.push_back(place(rank.spans, lanes));
      rows_.push_back({y, static_cast<double>(lanes) * kLane});
      y += rows_.back().height + kRowGap;
    }
    height_ = y - kRowGap + kPad;
  }

  std::string text() {
    const double width = std::max(kLeft + width_ + kPad, 2 * kPad + 9.2 * static_cast<double>(timeline_.title.size()));
    add("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\">\n", width, height_, width, height_);
    svg_ += "<title>" + tool::escaped(timeline_.title) + "</title>\n" + kStyle + "<rect width=\"100%\" height=\"100%\" class=\"ground\"/>\n";
    svg_ += "<text x=\"16\" y=\"28\" class=\"title\">" + tool::escaped(timeline_.title) + "</text>\n";
    legend();
    for (size_t rank = 0; rank < rows_.size(); ++rank) {
      add("<rect x=\"%.0f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"row\"/>\n", kLeft, rows_[rank].top, width_, rows_[rank].height);
      add("<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">rank %zu</text>\n", kLeft - 10, middle(rank) + 4, rank);
    }
    axis();
    for (size_t rank = 0; rank < rows_.size(); ++rank)
      for (const Placed& one : placed_[rank]) box(rank, one);
    for (const Timeline::Message& message : timeline_.messages) arrow(message);
    return svg_ + "</svg>\n";
  }

 private:
  struct Row {
    double top, height;
  };

  [[gnu::format(printf, 2, 3)]] void add(const char* format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    svg_ += line;
  }
  double x_of(double time) const { return kLeft + (timeline_.end > 0 ? time / timeline_.end * width_ : 0); }
  double middle(size_t rank) const { return rows_[rank].top + rows_[rank].height / 2; }
  const char* class_of(uint32_t kind) const { return kind == 0 ? "send" : kind == 1 ? "combine" : "other"; }

  void legend() {
    double x = kPad;
    const auto sign = [&](const std::string& text, const std::string& shape) {
      svg_ += shape;
      svg_ += concat("<text x=\"", x + 20, "\" y=\"52\" class=\"soft\">", tool::escaped(text), "</text>\n");
      x += 20 + kGlyph * static_cast<double>(text.size()) + 18;
    };
    for (uint32_t kind = 0; kind < timeline_.kinds.size(); ++kind)
      sign(timeline_.kinds[kind], concat("<rect x=\"", x, "\" y=\"42\" width=\"14\" height=\"12\" class=\"", class_of(kind), "\"/>"));
    for (const bool network : {true, false})
      if (std::any_of(timeline_.messages.begin(), timeline_.messages.end(), [&](const auto& message) { return message.network == network; }))
        sign(network ? "message over the network" : "message in memory",
             concat("<path d=\"M", x, " 48h14\" stroke-width=\"2\" class=\"", network ? "network" : "memory", "\"/>"));
  }

  void axis() {
    const bool steps = timeline_.unit == Timeline::Unit::Steps;
    const double least = timeline_.end * (steps ? 30 : 90) / width_, unit = std::pow(10, std::floor(std::log10(std::max(least, 1e-6))));
    double step = unit;
    for (const double factor : {10.0, 5.0, 2.0, 1.0})
      if (factor * unit >= least) step = factor * unit;
    if (steps) step = std::max(1.0, std::ceil(step));
    for (double time = 0; time < timeline_.end; time += step) {
      add("<path d=\"M%.1f %.0fV%.1f\" class=\"mark\"/>\n", x_of(time), kTop - 8, height_ - kPad);
      const double x = steps ? x_of(time + 0.5) : x_of(time);
      add(steps ? "<text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\" class=\"soft\">step %g</text>\n"
                : "<text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\" class=\"soft\">%g us</text>\n",
          x, kTop - 12, time);
    }
  }

  void box(size_t rank, const Placed& one) {
    const Timeline::Span& span = *one.span;
    const double x = x_of(span.begin), width = std::max(0.5, x_of(span.end) - x), y = rows_[rank].top + static_cast<double>(one.lane) * kLane;
    add("<g><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" rx=\"2\" class=\"%s\"/>", x, y + 1, width, kLane - 2, class_of(span.kind));
    svg_ += "<title>" + tool::escaped(concat("rank ", rank, ": ", span.name, span.note.empty() ? "" : ", ", span.note)) + "</title>";
    const auto room = static_cast<size_t>(std::max(0.0, (width - 8) / kGlyph));
    if (room >= 6) {
      const std::string text = shortened(span.name, room);
      add("<text x=\"%.1f\" y=\"%.1f\" class=\"on-%s\">", x + 4, y + kLane / 2 + 4, span.kind == 0 ? "send" : "other");
      svg_ += tool::escaped(text) + "</text>";
    }
    svg_ += "</g>\n";
  }

  void arrow(const Timeline::Message& message) {
    const size_t from = static_cast<size_t>(message.from), to = static_cast<size_t>(message.to);
    const double x1 = x_of(message.begin), x2 = x_of(message.end), y1 = middle(from), y2 = middle(to);
    const double length = std::max(1e-6, std::hypot(x2 - x1, y2 - y1)), ux = (x2 - x1) / length, uy = (y2 - y1) / length;
    add("<path d=\"M%.1f %.1fL%.1f %.1fM%.1f %.1fL%.1f %.1fL%.1f %.1fz\" class=\"%s\"><title>", x1, y1, x2 - 3 * ux, y2 - 3 * uy, x2, y2,
        x2 - 7 * ux + 3 * uy, y2 - 7 * uy - 3 * ux, x2 - 7 * ux - 3 * uy, y2 - 7 * uy + 3 * ux, message.network ? "network" : "memory");
    svg_ += tool::escaped(concat("rank ", from, " to rank ", to, ": ", message.amount, " ", timeline_.amount_unit, ", ", message.way)) +
            "</title></path>\n";
  }

  const Timeline& timeline_;
  std::vector<std::vector<Placed>> placed_;
  std::vector<Row> rows_;
  double width_ = 0, height_ = 0;
  std::string svg_;
};

}  // namespace

std::string diagram_of(const Timeline& timeline) { return Diagram(timeline).text(); }

}  // namespace tutti::show

// picture: see picture.h. Sizes are worked out from the inside, then all is drawn from the outside.
#include "tools/topo/picture.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "tools/markup.h"

namespace tutti::show {
namespace {

constexpr double kPad = 14, kGap = 18, kHeader = 26, kBar = 6, kHang = 40, kCell = 24, kCellGap = 4, kWayGap = 12, kStack = 5;
constexpr double kTitleFont = 16, kNameFont = 13, kSmallFont = 11, kGlyph = 0.58;  // of a font's size: the width of a letter
constexpr double kRowWidth = 1200, kRowGap = 20, kTrunk = 16, kLegendRow = 22, kLegendWidth = 420, kSign = 28;
constexpr size_t kMostCells = 64, kCellsInRow = 8;
constexpr const char* kFast = "#1971c2", *kNarrow = "#e8590c", *kUnknown = "#868e96", *kInk = "#212529";

struct Size {
  double width, height;
};

double text_width(const std::string& text, double font) { return static_cast<double>(text.size()) * font * kGlyph; }

std::string name_of(const Place& place) { return place.kind.empty() ? place.name : place.kind + " " + place.name; }

std::string summary_of(const Place& place) {
  if (place.alike > 1) return concat("+ ", place.alike, " like it");
  return place.cells.size() > kMostCells ? concat(place.cells.size(), " ", place.cell, "s") : "";
}

Size size_of(const Place& place);
double outer_width(const Place& place);

// Places inside of one, side by side.
struct Row {
  size_t first, count;
  double width, height;
};

std::vector<Row> rows_of(const Place& place) {
  std::vector<Row> rows;
  for (size_t i = 0; i < place.inside.size(); ++i) {
    const double width = outer_width(place.inside[i]);
    if (rows.empty() || rows.back().width + kGap + width > kRowWidth)
      rows.push_back({i, 0, -kGap, 0});
    Row& row = rows.back();
    ++row.count;
    row.width += width + kGap;
    row.height = std::max(row.height, size_of(place.inside[i]).height);
  }
  return rows;
}

// With the room that its ways out need above it.
double outer_width(const Place& place) {
  double labels = 0;
  for (const Way& way : place.ways) labels = std::max(labels, text_width(way.label, kSmallFont));
  const double ways = kWayGap * static_cast<double>(place.ways.size());
  return std::max(size_of(place).width, 2 * labels + ways + 8);
}

Size inner_size(const Place& place) {
  if (!summary_of(place).empty()) return {text_width(summary_of(place), kNameFont), kCell};
  if (!place.cells.empty()) {
    const size_t count = place.cells.size(), columns = std::min(count, kCellsInRow), rows = (count + columns - 1) / columns;
    return {static_cast<double>(columns) * (kCell + kCellGap) - kCellGap, static_cast<double>(rows) * (kCell + kCellGap) - kCellGap};
  }
  if (place.inside.empty()) return {0, 0};
  const std::vector<Row> rows = rows_of(place);
  Size size{0, -kRowGap};
  for (const Row& row : rows) {
    size.width = std::max(size.width, row.width);
    size.height += kBar + kHang + row.height + kRowGap;
  }
  if (rows.size() > 1) size.width += kTrunk;
  return size;
}

Size size_of(const Place& place) {
  const Size inner = inner_size(place);
  const double header = text_width(name_of(place), place.kind.empty() ? kTitleFont : kNameFont);
  return {std::max(inner.width, header) + 2 * kPad, kHeader + inner.height + (inner.height > 0 ? kPad : 0) + kPad / 2};
}

class Drawing {
 public:
  std::string of(const Place& tree) {
    const Size size = size_of(tree);
    draw(tree, kPad, kPad, size.width, 0);
    const double below = draw_legend(kPad, size.height + 2 * kPad);
    std::ostringstream head;
    head << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << std::max(size.width, kLegendWidth) + 2 * kPad << "\" height=\""
         << below + kPad << "\" font-family=\"Helvetica, Arial, sans-serif\">\n<title>" << tool::escaped(name_of(tree))
         << "</title>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
    return head.str() + out_.str() + "</svg>\n";
  }

 private:
  void rectangle(double x, double y, double width, double height, const char* fill, const char* stroke, double round) {
    out_ << "<rect x=\"" << x << "\" y=\"" << y << "\" width=\"" << width << "\" height=\"" << height << "\" rx=\"" << round
         << "\" fill=\"" << fill << "\" stroke=\"" << stroke << "\"/>\n";
  }
  void text(double x, double y, double font, const std::string& what, const char* fill, const char* more = "") {
    out_ << "<text x=\"" << x << "\" y=\"" << y << "\" font-size=\"" << font << "\" fill=\"" << fill << "\" " << more << ">"
         << tool::escaped(what) << "</text>\n";
  }

  void draw_cells(const Place& place, double x, double y) {
    cells_.insert(place.cell);
    for (size_t i = 0; i < place.cells.size(); ++i) {
      const double left = x + static_cast<double>(i % kCellsInRow) * (kCell + kCellGap);
      const double top = y + static_cast<double>(i / kCellsInRow) * (kCell + kCellGap);
      rectangle(left, top, kCell, kCell, cell_fill(place.cell), cell_stroke(place.cell), 4);
      text(left + kCell / 2, top + kCell / 2 + 4, place.cells[i].size() > 3 ? 8 : kSmallFont, place.cells[i], kInk,
           "text-anchor=\"middle\"");
    }
  }

  // From the bar at `top` down to the place at `bottom`, around `middle`.
  void draw_ways(const Place& place, double middle, double top, double bottom) {
    double fastest_inside = 0;
    for (const Place& inner : place.inside)
      // Nobody wonders that a host's memory is faster than its NIC.
      for (const Way& way : inner.ways) fastest_inside = std::max(fastest_inside, place.kind == "host" ? 0 : way.bps);
    const size_t count = place.ways.size();
    double right = middle;
    for (size_t i = 0; i < count; ++i) {
      const Way& way = place.ways[i];
      const double x = middle + (static_cast<double>(i) - static_cast<double>(count - 1) / 2) * kWayGap;
      const char* const color = way.bps == 0 ? kUnknown : way.bps < fastest_inside ? kNarrow : kFast;
      colors_.insert(color);
      const double width = way.bps == 0 ? 1.5 : std::clamp(1.3 * (std::log10(way.bps) - 7), 1.0, 9.0);
      out_ << "<line x1=\"" << x << "\" y1=\"" << top << "\" x2=\"" << x << "\" y2=\"" << bottom << "\" stroke=\"" << color
           << "\" stroke-width=\"" << width << "\"/>\n";
      right = x + width / 2;
      // Each label at a height of its own.
      text(middle + (static_cast<double>(count - 1) / 2) * kWayGap + 7, top + 14 + static_cast<double>(i) * 12, kSmallFont, way.label,
           color == kNarrow ? kNarrow : "#495057");
    }
    if (count == 0) {
      colors_.insert(kUnknown);
      out_ << "<line x1=\"" << right << "\" y1=\"" << top << "\" x2=\"" << right << "\" y2=\"" << bottom << "\" stroke=\"" << kUnknown
           << "\" stroke-width=\"1.5\"/>\n";
    }
  }

  void draw(const Place& place, double x, double y, double width, int depth) {
    static constexpr const char* kFills[] = {"#f8f9fa", "#f1f3f5", "#ffffff", "#f8f9fa", "#ffffff"};
    const double height = size_of(place).height;
    const bool outermost = place.kind.empty();
    stacks_ = stacks_ || place.alike > 1;
    for (int card = place.alike > 1 ? 2 : 0; card > 0; --card)
      rectangle(x + card * kStack, y + card * kStack, width, height, "#ffffff", "#ced4da", 8);
    rectangle(x, y, width, height, kFills[static_cast<size_t>(depth) % std::size(kFills)], place.kind == "host" ? "#495057" : "#ced4da", 8);
    text(x + kPad, y + kHeader - 7, outermost ? kTitleFont : kNameFont, name_of(place), kInk, "font-weight=\"bold\"");
    const double top = y + kHeader + kPad / 2, inner_width = inner_size(place).width;
    double left = x + (width - inner_width) / 2;
    if (!summary_of(place).empty()) return text(left, top + kCell / 2 + 4, kNameFont, summary_of(place), "#495057");
    if (!place.cells.empty()) return draw_cells(place, left, top);
    if (place.inside.empty()) return;
    draw_inside(place, left, top, inner_width, depth);
  }

  void draw_inside(const Place& place, double left, double top, double width, int depth) {
    const std::vector<Row> rows = rows_of(place);
    const double trunk = rows.size() > 1 ? kTrunk : 0;
    const double first = top;
    double last = top;
    for (const Row& row : rows) {
      last = top;
      rectangle(left, top, rows.size() > 1 ? row.width + trunk : width, kBar, "#868e96", "none", 3);
      double x = left + trunk;
      for (size_t i = row.first; i < row.first + row.count; ++i) {
        const Place& inner = place.inside[i];
        const double outer = outer_width(inner), own = size_of(inner).width;
        draw_ways(inner, x + outer / 2, top + kBar, top + kBar + kHang);
        draw(inner, x + (outer - own) / 2, top + kBar + kHang, own, depth + 1);
        x += outer + kGap;
      }
      top += kBar + kHang + row.height + kRowGap;
    }
    if (rows.size() > 1) rectangle(left, first, kBar, last - first + kBar, "#868e96", "none", 3);
  }

  // Of what the picture has. Returns where the legend ends.
  double draw_legend(double x, double y) {
    const auto row = [&](const std::string& sentence, const auto& draw_sign) {
      draw_sign(y + kLegendRow / 2);
      text(x + kSign + 10, y + kLegendRow / 2 + 4, kSmallFont, sentence, "#495057");
      y += kLegendRow;
    };
    const auto line = [&](const char* color, const std::string& sentence) {
      if (colors_.count(color) > 0)
        row(sentence, [&](double middle) { rectangle(x, middle - 2, kSign, 4, color, "none", 0); });
    };
    line(kFast, "link of a place to what is outside; the thicker, the faster");
    line(kNarrow, "link that is slower than one inside of its place: a bottleneck");
    line(kUnknown, "link whose rate is not known");
    for (const char* const cell : {"rank", "core"})
      if (cells_.count(cell) > 0)
        row(concat(cell, ", by its number"), [&](double middle) {
          rectangle(x + 6, middle - 8, 16, 16, cell_fill(cell), cell_stroke(cell), 3);
        });
    if (stacks_)
      row("several places like the one before", [&](double middle) {
        for (const double card : {4.0, 0.0}) rectangle(x + 2 + card, middle - 8 + card, 20, 11, "#ffffff", "#adb5bd", 3);
      });
    return y;
  }

  static const char* cell_fill(const std::string& cell) { return cell == "rank" ? "#d0ebff" : "#e9ecef"; }
  static const char* cell_stroke(const std::string& cell) { return cell == "rank" ? "#74c0fc" : "#adb5bd"; }

  std::set<std::string> colors_, cells_;  // drawn
  bool stacks_ = false;
  std::ostringstream out_;
};

}  // namespace

std::string svg_of(const Place& tree) { return Drawing().of(tree); }

}  // namespace tutti::show

// picture: a wide cluster is drawn in several rows, and nothing lies outside of the picture or on its neighbour.
#include "tools/topo/picture.h"

#include <regex>

#include "tests/catch.h"

namespace tutti::show {
namespace {

struct Box {
  double x, y, width, height;
  bool apart(const Box& other) const {
    return x + width <= other.x || other.x + other.width <= x || y + height <= other.y || other.y + other.height <= y;
  }
};

Place host(const std::string& name, double bps, int ranks) {
  Place place{"host", name, {{bps, "1Gbit, 20us"}}};
  place.cell = "rank";
  for (int i = 0; i < ranks; ++i) place.cells.push_back(std::to_string(i));
  return place;
}

// Of hosts: these have a stroke of their own.
std::vector<Box> hosts_of(const std::string& svg) {
  static const std::regex kBox("<rect x=\"([^\"]*)\" y=\"([^\"]*)\" width=\"([^\"]*)\" height=\"([^\"]*)\"[^>]*stroke=\"#495057\"/>");
  std::vector<Box> boxes;
  for (std::sregex_iterator it(svg.begin(), svg.end(), kBox), end; it != end; ++it)
    boxes.push_back({std::stod((*it)[1]), std::stod((*it)[2]), std::stod((*it)[3]), std::stod((*it)[4])});
  return boxes;
}

Box frame_of(const std::string& svg) {
  std::smatch found;
  REQUIRE(std::regex_search(svg, found, std::regex("<svg [^>]*width=\"([^\"]*)\" height=\"([^\"]*)\"")));
  return {0, 0, std::stod(found[1]), std::stod(found[2])};
}

Place many(int hosts) {
  Place tree{"", "x.txt: hosts: <many>", {}};
  for (int i = 0; i < hosts; ++i) tree.inside.push_back(host("n" + std::to_string(i), 1e9, 1 + i % 9));
  return tree;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("picture: many hosts are several rows") {
  const std::string svg = svg_of(many(100));
  const std::vector<Box> boxes = hosts_of(svg);
  const Box frame = frame_of(svg);
  REQUIRE(boxes.size() == 100);
  REQUIRE(frame.width < 1300);
  for (size_t i = 0; i < boxes.size(); ++i) {
    INFO("host " << i);
    REQUIRE(boxes[i].x + boxes[i].width <= frame.width);
    REQUIRE(boxes[i].y + boxes[i].height <= frame.height);
    for (size_t j = 0; j < i; ++j) REQUIRE(boxes[i].apart(boxes[j]));
  }
}

TEST_CASE("picture: few hosts stay in one row") {
  const std::vector<Box> boxes = hosts_of(svg_of(many(3)));
  REQUIRE(boxes.size() == 3);
  REQUIRE(boxes[0].y == boxes[2].y);
}

TEST_CASE("picture: a title, and a legend of what is there") {
  const std::string plain = svg_of(many(3));
  REQUIRE(has(plain, "<title>x.txt: hosts: &lt;many&gt;</title>"));
  REQUIRE(has(plain, "rank, by its number"));
  REQUIRE(has(plain, "link of a place"));
  REQUIRE_FALSE(has(plain, "bottleneck"));
  REQUIRE_FALSE(has(plain, "several places"));

  Place tree = many(0);
  tree.inside.push_back({"rack", "r", {{1e8, "100Mbit"}}, {host("a", 1e9, 1), host("b", 0, 1)}});
  tree.inside[0].inside[1].alike = 5;
  const std::string all = svg_of(tree);
  REQUIRE(has(all, "bottleneck"));
  REQUIRE(has(all, "rate is not known"));
  REQUIRE(has(all, "several places"));
}

}  // namespace tutti::show

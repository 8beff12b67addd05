// tree: what tutti-topo shows, whatever it came from: places within places, each with the ways out of it. Text here, a picture in
// picture.h.
#pragma once
#include <string>
#include <vector>

#include "lib/topo/file.h"
#include "lib/topo/topology.h"

namespace tutti::show {

struct Way {
  double bps;         // 0: unknown
  std::string label;  // "eth0 500Mbit, 20us"
};

struct Place {
  std::string kind, name;  // "rack", "r0"
  std::vector<Way> ways;   // out of it
  std::vector<Place> inside = {};
  std::string cell = {};                 // what `cells` are
  std::vector<std::string> cells = {};   // ranks or cores, in places that have none inside
  int alike = 1;                         // stands for so many
};

Place tree_of(const Cluster& cluster, const std::string& title);
Place tree_of(const Topology& topology, const std::string& title);
// By hwloc, and the NICs.
Result<Place> tree_of_this_machine();

// Replaces long runs of neighbours that differ in names only by the first and one that stands for the rest.
void fold(Place& place);

std::string text_of(const Place& tree);

}  // namespace tutti::show

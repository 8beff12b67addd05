// picture: a tree of places as SVG: boxes in boxes; each hangs by its uplinks, the thicker the faster, from the bar of the place
// around it. An uplink that is slower than one inside of its place is a bottleneck, and orange.
#pragma once
#include <string>

#include "tools/topo/tree.h"

namespace tutti::show {

std::string svg_of(const Place& tree);

}  // namespace tutti::show

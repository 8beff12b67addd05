// picture: a tree of places as SVG: boxes in boxes; each hangs by its uplinks, the thicker the faster, from the bar of the place
// around it. Where places are too many for a row, there are several, whose bars hang on one trunk. An uplink that is slower than one
// inside of its place is a bottleneck, and orange. Below is a legend of what is there.
#pragma once
#include <string>

#include "tools/topo/tree.h"

namespace tutti::show {

std::string svg_of(const Place& tree);

}  // namespace tutti::show

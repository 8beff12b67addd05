// diagram: a timeline as one SVG picture: ranks as rows, time to the right, an arrow for each message.
#pragma once
#include <string>

#include "tools/page/timeline.h"

namespace tutti::show {

// Boxes and arrows that a picture may have: with more, nothing can be told apart, and programs take long to show it.
inline constexpr size_t kMostInDiagram = 5000;

std::string diagram_of(const Timeline& timeline);

}  // namespace tutti::show

// markup: text of users inside of HTML and SVG.
#pragma once
#include <string>

namespace tutti::tool {

// For the text of an element, and for an attribute in double quotes. What such a text cannot have, control characters and bytes that are no
// UTF-8, becomes "?".
std::string escaped(const std::string& text);

}  // namespace tutti::tool

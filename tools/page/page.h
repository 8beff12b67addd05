// page: a timeline as one HTML file that needs nothing else. README.md in this folder describes the JSON in it.
#pragma once
#include <string>

#include "tools/page/timeline.h"

namespace tutti::show {

// Made of page.html, page.css and the scripts when Tutti is built.
extern const char kPage[];

// More spans and messages make a page slow to open.
inline constexpr size_t kMostOnPage = 100'000;

std::string json_of(const Timeline& timeline);
std::string page_of(const Timeline& timeline);

}  // namespace tutti::show

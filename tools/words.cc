// words: see words.h.
#include "tools/words.h"

#include <algorithm>
#include <cctype>

namespace tutti {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

}  // namespace

Result<Collective> parse_collective(const std::string& name) {
  std::string known;
  for (int i = 0; i < kCollectives; ++i) {
    const std::string candidate = lower(name_of(static_cast<Collective>(i)));
    if (lower(name) == candidate) return static_cast<Collective>(i);
    known += (i == 0 ? "" : ", ") + candidate;
  }
  return fail(Code::InvalidArgument, "unknown collective '", name, "' (known: ", known, ")");
}

}  // namespace tutti

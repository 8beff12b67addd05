// markup: see markup.h.
#include "tools/markup.h"

#include <cstdint>

namespace tutti::tool {
namespace {

// Bytes of the letter that begins at `at`; 0: it is none.
size_t letter_at(const std::string& text, size_t at) {
  const auto byte = [&](size_t i) -> uint32_t { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; };
  const uint32_t first = byte(at);
  if (first < 0x80) return first < 0x20 || first == 0x7f ? 0 : 1;
  const size_t bytes = first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xc2 && first < 0xe0 ? 2 : 0;
  uint32_t letter = bytes == 0 ? 0 : first & (0x7f >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return 0;
    letter = letter << 6 | (byte(at + i) & 0x3f);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};  // a longer form than needed is none
  const bool no_letter = letter < kLeast[bytes] || letter > 0x10ffff || (letter >= 0xd800 && letter < 0xe000) || (letter & 0xfffe) == 0xfffe;
  return no_letter ? 0 : bytes;
}

}  // namespace

std::string escaped(const std::string& text) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = letter_at(text, at);
    if (bytes == 0)
      result += '?';
    else if (text[at] == '<')
      result += "&lt;";
    else if (text[at] == '>')
      result += "&gt;";
    else if (text[at] == '&')
      result += "&amp;";
    else if (text[at] == '"')
      result += "&quot;";
    else
      result.append(text, at, bytes);
    at += bytes == 0 ? 1 : bytes;
  }
  return result;
}

}  // namespace tutti::tool

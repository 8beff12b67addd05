// line: see line.h.
#include "lib/trace/line.h"

#include <charconv>

namespace tutti {
namespace {

template <typename Number>
void append(std::string& to, Number number) {
  char digits[24];
  to.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

// The length of the UTF-8 sequence that `text` begins with; 0: it is none. As RFC 3629 has it: no surrogates, no longer forms than needed.
size_t sequence_of(std::string_view text) {
  const auto at = [&](size_t i) -> unsigned { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; };
  const auto follows = [&](size_t i, unsigned least = 0x80, unsigned most = 0xbf) { return at(i) >= least && at(i) <= most; };
  const unsigned first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef)
    return follows(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf) && follows(2) ? 3 : 0;
  if (first >= 0xf0 && first <= 0xf4)
    return follows(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf) && follows(2) && follows(3) ? 4 : 0;
  return 0;
}

}  // namespace

void append_quoted(std::string& text, std::string_view value) {
  constexpr char kHex[] = "0123456789abcdef";
  text += '"';
  const auto plain = [](unsigned char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; };
  for (size_t i = 0; i < value.size();) {
    size_t end = i;
    while (end < value.size() && plain(static_cast<unsigned char>(value[end]))) ++end;
    text += value.substr(i, end - i);
    if ((i = end) == value.size()) break;
    const unsigned char c = static_cast<unsigned char>(value[i]);
    const size_t length = sequence_of(value.substr(i));
    if (c == '"' || c == '\\') {
      text += '\\';
      text += value[i];
    } else if (c < 0x20 || c == 0x7f) {
      text += "\\u00";
      text += kHex[c >> 4];
      text += kHex[c & 15];
    } else if (length == 0) {
      text += '?';
    } else {
      text += value.substr(i, length);
    }
    i += length == 0 ? 1 : length;
  }
  text += '"';
}

void Line::name(std::string_view name) {
  if (taken_) text_.assign(1, '{');
  taken_ = false;
  if (text_.back() != '{') text_ += ',';
  text_ += '"';
  text_ += name;
  text_ += "\":";
}

std::string_view Line::take() {
  text_ += '}';
  taken_ = true;
  return text_;
}

Line& Line::text(std::string_view name, std::string_view value) {
  this->name(name);
  append_quoted(text_, value);
  return *this;
}

Line& Line::number(std::string_view name, int64_t value) {
  this->name(name);
  append(text_, value);
  return *this;
}

Line& Line::flag(std::string_view name, bool value) {
  this->name(name);
  text_ += value ? "true" : "false";
  return *this;
}

Line& Line::time(std::string_view name, int64_t ns) {
  this->name(name);
  if (ns < 0) text_ += '-';
  const uint64_t magnitude = ns < 0 ? -static_cast<uint64_t>(ns) : static_cast<uint64_t>(ns);
  append(text_, magnitude / 1000);
  const unsigned rest = static_cast<unsigned>(magnitude % 1000);
  const char places[] = {'.', static_cast<char>('0' + rest / 100), static_cast<char>('0' + rest / 10 % 10), static_cast<char>('0' + rest % 10)};
  text_.append(places, sizeof places);
  return *this;
}

Line& Line::open(std::string_view name) {
  this->name(name);
  text_ += '{';
  return *this;
}

Line& Line::close() {
  text_ += '}';
  return *this;
}

}  // namespace tutti

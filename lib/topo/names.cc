// names: see names.h.
#include "lib/topo/names.h"

#include <algorithm>
#include <charconv>

namespace tutti {
namespace {

constexpr size_t kMaxNameBytes = 255;

// Does not depend on the locale.
bool is_of_names(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

bool parse_number(std::string_view text, uint32_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxNameBytes && std::all_of(text.begin(), text.end(), is_of_names);
}

Result<NameRange> NameRange::parse(std::string_view word) {
  NameRange range;
  const size_t open = word.find('['), close = word.find(']');
  if (open == std::string_view::npos && close == std::string_view::npos) {
    range.before_ = word;
    if (is_name(word)) return range;
    return fail(Code::InvalidArgument, "'", word, "' is not a name: letters, digits, '.', '-' and '_'");
  }
  const auto wrong = [&] { return fail(Code::InvalidArgument, "'", word, "' is not a range of names like n[0-31]"); };
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return wrong();
  const std::string_view numbers = word.substr(open + 1, close - open - 1);
  const size_t dash = numbers.find('-');
  if (dash == std::string_view::npos || dash > kMaxNameBytes) return wrong();
  range.before_ = word.substr(0, open);
  range.after_ = word.substr(close + 1);
  range.digits_ = dash;
  if (!parse_number(numbers.substr(0, dash), range.first_) || !parse_number(numbers.substr(dash + 1), range.last_) ||
      range.last_ < range.first_)
    return wrong();
  // The names differ in their digits only, and the last is the longest. So checking the last is enough.
  if (range.longest_bytes() > kMaxNameBytes || !is_name(range.name(range.size() - 1))) return wrong();
  return range;
}

std::string NameRange::number(uint64_t value) const {
  std::string digits = std::to_string(value);
  digits.insert(0, digits_ > digits.size() ? digits_ - digits.size() : 0, '0');
  return digits;
}

std::string NameRange::name(uint64_t i) const {
  std::string name(before_);
  if (digits_ > 0) name += number(first_ + i);
  return name += after_;
}

}  // namespace tutti

// names: the names of places in a topology file. Tells whether a text is a name, and writes out ranges like "n[08-11]".
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/status.h"

namespace tutti {

// 1 to 255 letters, digits, '.', '-' and '_'.
bool is_name(std::string_view text);

// One name, or "before[first-last]after". Makes each name only when name() asks for it. REQUIRES: the parsed word outlives this.
class NameRange {
 public:
  // An error says what is wrong with the word. If parsing succeeds, is_name() holds for every name of the range.
  static Result<NameRange> parse(std::string_view word);

  uint64_t size() const { return uint64_t{last_} - first_ + 1; }
  // The length of the last name. No name is longer.
  size_t longest_bytes() const { return before_.size() + (digits_ > 0 ? number(last_).size() : 0) + after_.size(); }
  // REQUIRES: i < size().
  std::string name(uint64_t i) const;

 private:
  std::string number(uint64_t value) const;

  std::string_view before_, after_;
  uint32_t first_ = 0, last_ = 0;
  size_t digits_ = 0;  // the least number of digits; 0: this is one name
};

}  // namespace tutti

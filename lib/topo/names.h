// names: of places in a topology file: what is a name, and the many names that a range like "n[08-11]" stands for.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/status.h"

namespace tutti {

// 1 to 255 letters, digits, '.', '-' and '_'.
bool is_name(std::string_view text);

// One name, or "before[first-last]after". Nothing is written out before it is asked for. Refers to the word it was parsed from.
class NameRange {
 public:
  // Errors say what is wrong with the word. All names of a range that was parsed are names.
  static Result<NameRange> parse(std::string_view word);

  uint64_t size() const { return uint64_t{last_} - first_ + 1; }
  // Bytes of the last name, which none is longer than.
  size_t longest_bytes() const { return before_.size() + (digits_ > 0 ? number(last_).size() : 0) + after_.size(); }
  // REQUIRES: i < size().
  std::string name(uint64_t i) const;

 private:
  std::string number(uint64_t value) const;

  std::string_view before_, after_;
  uint32_t first_ = 0, last_ = 0;
  size_t digits_ = 0;  // at least; 0: no range
};

}  // namespace tutti

// inquiry: from what all ranks say they are doing to one sentence that names who holds up an operation.
#pragma once
#include <string>
#include <vector>

#include "lib/boot/boot.h"

namespace tutti {

// What became of the question to one rank.
struct Answer {
  enum class Kind : uint8_t { Given, Silent, Left } kind = Kind::Silent;
  Activity activity{};
};

struct Inquiry {
  uint64_t entered;           // collective number that did not finish; 0: point to point
  std::vector<int> suspects;  // of a point-to-point operation
  std::string text;           // what did not finish, e.g. "AllReduce #17 (...) did not finish within 5 s"
};

// Whom to blame: ranks that do not answer before ranks that have left, those before ranks that lag, the furthest behind
// first. `answers` is indexed by rank.
Cause conclude(const Inquiry& inquiry, const std::vector<Answer>& answers);

}  // namespace tutti

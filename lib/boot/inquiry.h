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
  uint64_t entered;           // collective number that did not finish; 0: another call
  std::vector<int> suspects;  // of another call: who is waited for
  std::string text;           // what did not finish, e.g. "AllReduce #17 (...) did not finish within 5 s"
  bool by_all = false;        // another call, which all ranks have to make
  uint64_t number = 0;        // of a mismatch: the collective that ranks called differently, which `text` names; all else above is empty
  Cause seen{};               // and how it was noticed
};

// Whom to blame: ranks that do not answer before ranks that have left, those before ranks that lag, the furthest behind
// first. After a mismatch: whose call is another than most ranks'. Ranks in sends and receives that wait for one another in a ring are all to blame. `answers` is indexed by rank.
Cause conclude(const Inquiry& inquiry, const std::vector<Answer>& answers);

}  // namespace tutti

// inquiry: from what all ranks say they are doing to one sentence that names who holds up an operation.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "lib/boot/boot.h"

namespace tutti {

// What became of the question to one rank.
struct Answer {
  enum class Kind : uint8_t {
    Given,
    Silent,
    Left,
    Unreached,  // the question has not come to it: another rank, which is silent, stands between
  } kind = Kind::Silent;
  Activity activity{};
};

struct Inquiry {
  uint64_t entered;           // number of the collective that did not finish; 0: not a collective
  std::vector<int> suspects;  // if not a collective: the ranks that are waited for
  std::string text;           // what did not finish, e.g. "AllReduce #17 (...) did not finish within 5 s"
  bool by_all = false;        // not a collective, but all ranks have to make the call (CommSplit, joining)
  // For a mismatch. Of the members above only `text` is set; it names the collective.
  uint64_t number = 0;  // of the collective that ranks called differently
  Cause seen{};         // what the rank that noticed it saw

  // The first collective that a rank is still in, for which the ranks are asked once more.
  uint64_t stuck = 0;

  // The collective that the ranks report as Activity::then; 0: none.
  uint64_t asks_for() const { return stuck > 0 ? stuck : number > 0 ? number : entered; }
};

// The first collective that a rank is still in, if it comes before the one that was asked for, or if none was: ranks may have called that
// differently, and all later calls wait for it. Nothing if there is none, if it has been asked for, or if a rank does not answer: then that is
// to blame.
std::optional<uint64_t> stuck_collective(const Inquiry& inquiry, const std::vector<Answer>& answers);

// Whom to blame: ranks that do not answer before ranks that have left, those before ranks that lag, the furthest behind
// first. If ranks have called different things: those whose call the fewest ranks made. If sends and receives wait for one another in a
// ring: all their ranks. `answers` is indexed by rank.
Cause conclude(const Inquiry& inquiry, const std::vector<Answer>& answers);

}  // namespace tutti

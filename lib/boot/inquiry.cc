// inquiry: see inquiry.h.
#include "lib/boot/inquiry.h"

#include <algorithm>
#include <map>
#include <optional>

#include "lib/boot/wire.h"

namespace tutti {
namespace {

constexpr size_t kNamed = 8;

// "A; B; C; and 5 more"
std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (size_t i = 0; i < parts.size() && i < kNamed; ++i) text += concat(i ? "; " : "", parts[i]);
  if (parts.size() > kNamed) text += concat("; and ", parts.size() - kNamed, " more");
  return text;
}

std::string collective_calls(uint64_t calls) {
  return calls == 0 ? "" : concat(" after ", calls, calls == 1 ? " collective call" : " collective calls");
}

std::string blame(int rank, const Answer& answer, const std::string& deed) {
  switch (answer.kind) {
    case Answer::Kind::Unreached:
    case Answer::Kind::Silent: return concat("rank ", rank, " does not answer (stopped or swapped out?)");
    case Answer::Kind::Left: return concat("rank ", rank, " has left the communicator", collective_calls(answer.activity.entered));
    default: return concat("rank ", rank, deed, " (rank ", rank, ": ", answer.activity.text, ")");
  }
}

// Finds two ranks that are in different collectives of one number. It need not be the number that they were asked for. Such ranks may wait
// for messages of one another. Then no message has shown the difference, and no rank lags.
std::optional<Cause> mismatch(const Inquiry& inquiry, const std::vector<Answer>& answers) {
  std::map<uint64_t, int> first;  // by collective number: the lowest rank that is in it
  for (int rank = 0; rank < static_cast<int>(answers.size()); ++rank) {
    const Activity& mine = answers[static_cast<size_t>(rank)].activity;
    if (mine.call.empty()) continue;
    const int other = first.emplace(mine.entered, rank).first->second;
    const Activity& theirs = answers[static_cast<size_t>(other)].activity;
    if (mine.call == theirs.call) continue;
    return Cause{Code::InvalidUsage, rank,
                 concat("ranks made different calls: rank ", other, " called ", theirs.call, ", rank ", rank, " called ",
                        mine.call, " [collective #", mine.entered, "] (", inquiry.text, ")")};
  }
  return {};
}

// Says what the ranks called as the collective that they were asked for, if that differs. The call that the fewest ranks made is to blame.
std::optional<Cause> differing(const std::string& which, const std::vector<Answer>& answers) {
  std::map<std::string, std::vector<int>> callers;
  for (int rank = 0; rank < static_cast<int>(answers.size()); ++rank)
    if (const std::string& then = answers[static_cast<size_t>(rank)].activity.then; !then.empty()) callers[then].push_back(rank);
  if (callers.size() < 2) return {};
  std::vector<std::pair<std::vector<int>, std::string>> groups;
  for (const auto& [call, ranks] : callers) groups.emplace_back(ranks, call);
  std::sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first.size(), b.first.front()) > std::pair(b.first.size(), a.first.front());
  });
  std::vector<std::string> parts;
  for (const auto& [ranks, call] : groups) parts.push_back(concat(rank_list(ranks), " called ", call));
  return Cause{Code::InvalidUsage, groups.back().first.front(), concat("ranks made different calls: ", joined(parts), which)};
}

// Finds a ring of sends and receives: each waits for the next, and the last waits for the first. Then no rank lags.
std::optional<Cause> ring(const Inquiry& inquiry, const std::vector<Answer>& answers) {
  const int ranks = static_cast<int>(answers.size());
  const auto next = [&](int rank) {
    const int peer = answers[static_cast<size_t>(rank)].activity.waits_for;
    return answers[static_cast<size_t>(rank)].kind == Answer::Kind::Given && peer >= 0 && peer < ranks ? peer : -1;
  };
  for (const int suspect : inquiry.suspects) {
    if (suspect < 0 || suspect >= ranks) continue;
    int rank = suspect;
    for (int steps = 0; steps < ranks && rank >= 0; ++steps) rank = next(rank);  // after so many steps it is in a ring, if there is one
    if (rank < 0) continue;
    std::vector<int> members;
    std::vector<std::string> parts;
    for (int at = rank; members.empty() || at != rank; at = next(at)) {
      members.push_back(at);
      parts.push_back(concat("rank ", at, ": ", answers[static_cast<size_t>(at)].activity.text));
    }
    std::sort(members.begin(), members.end());
    return Cause{Code::InvalidUsage, members.front(),
                 concat(inquiry.text, ": ", rank_list(members), members.size() > 1 ? " wait for one another in a ring (" : " waits for itself (",
                        joined(parts), "); enclose sends and receives that wait for one another in one group")};
  }
  return {};
}

}  // namespace

std::optional<uint64_t> stuck_collective(const Inquiry& inquiry, const std::vector<Answer>& answers) {
  if (inquiry.number > 0 || inquiry.stuck > 0) return {};
  const uint64_t asked = inquiry.entered > 0 ? inquiry.entered : UINT64_MAX;
  uint64_t first = asked;
  for (const Answer& answer : answers) {
    if (answer.kind != Answer::Kind::Given && answer.kind != Answer::Kind::Left) return {};
    if (answer.kind == Answer::Kind::Given && answer.activity.finished < answer.activity.entered) first = std::min(first, answer.activity.finished + 1);
  }
  if (first == asked) return {};
  return first;
}

Cause conclude(const Inquiry& inquiry, const std::vector<Answer>& answers) {
  if (inquiry.number > 0) return differing(inquiry.text, answers).value_or(inquiry.seen);
  if (inquiry.asks_for() > 0) {
    // A rank whose part in the call is over may be in a later one.
    if (std::optional<Cause> cause = differing(concat(" [collective #", inquiry.asks_for(), "] (", inquiry.text, ")"), answers)) return *cause;
    if (std::optional<Cause> cause = mismatch(inquiry, answers)) return *cause;
  }
  if (std::optional<Cause> cause = ring(inquiry, answers)) return *cause;
  const auto at = [&](int rank) -> const Answer& { return answers[static_cast<size_t>(rank)]; };
  std::vector<int> guilty;
  bool unreached = false;
  for (int rank = 0; rank < static_cast<int>(answers.size()); ++rank) {
    const bool suspect = std::find(inquiry.suspects.begin(), inquiry.suspects.end(), rank) != inquiry.suspects.end();
    const bool lags =
        inquiry.entered == 0 ? suspect : at(rank).kind == Answer::Kind::Silent || at(rank).activity.entered < inquiry.entered;
    const bool hidden = at(rank).kind == Answer::Kind::Unreached;
    unreached = unreached || (lags && hidden);
    if (lags && !hidden) guilty.push_back(rank);
  }
  // A rank that could not be asked is not blamed if a silent rank stands before it: that one is.
  for (int rank = 0; unreached && rank < static_cast<int>(answers.size()); ++rank)
    if (at(rank).kind == Answer::Kind::Silent && std::find(guilty.begin(), guilty.end(), rank) == guilty.end()) guilty.push_back(rank);
  for (int rank = 0; unreached && guilty.empty() && rank < static_cast<int>(answers.size()); ++rank)
    if (at(rank).kind == Answer::Kind::Unreached) guilty.push_back(rank);
  const auto weight = [&](int rank) {
    const Answer& answer = at(rank);
    const int kind = answer.kind == Answer::Kind::Silent ? 0 : answer.kind == Answer::Kind::Left ? 1 : 2;
    return std::pair(kind, kind == 2 ? answer.activity.entered : 0);
  };
  std::stable_sort(guilty.begin(), guilty.end(), [&](int a, int b) { return weight(a) < weight(b); });

  std::vector<std::string> parts;
  for (int rank : guilty)
    parts.push_back(blame(rank, at(rank), inquiry.entered == 0 && !inquiry.by_all ? " is waited for" : " has not called it"));
  if (!parts.empty()) return {Code::RemoteError, guilty.front(), concat(inquiry.text, ": ", joined(parts))};

  for (int rank = 0; rank < static_cast<int>(answers.size()); ++rank)
    if (at(rank).kind == Answer::Kind::Given && at(rank).activity.finished < std::max<uint64_t>(inquiry.entered, 1))
      parts.push_back(concat("rank ", rank, ": ", at(rank).activity.text));
  return {Code::RemoteError, -1,
          concat(inquiry.text, inquiry.suspects.empty() ? "" : concat(", which waits for ", rank_list(inquiry.suspects)),
                 inquiry.entered ? ": all ranks have called it" : ": no rank is known to be the cause",
                 parts.empty() ? "" : "; ", joined(parts))};
}

}  // namespace tutti

// select: prices what applies and sorts; see select.h.
#include "lib/sched/select.h"

#include <algorithm>

namespace tutti {

std::vector<Choice> rank_algorithms(const Problem& problem, size_t bytes) {
  std::vector<Choice> choices;
  for (const Algorithm& algorithm : all_algorithms())
    if (algorithm.applies(problem)) choices.push_back({&algorithm, algorithm.price(problem, bytes)});
  std::stable_sort(choices.begin(), choices.end(), [](const Choice& a, const Choice& b) { return a.seconds < b.seconds; });
  return choices;
}

Result<const Algorithm*> select(const Problem& problem, size_t bytes, std::string_view forced_name) {
  if (forced_name.empty()) {
    const std::vector<Choice> choices = rank_algorithms(problem, bytes);
    if (choices.empty()) return fail(Code::InternalError, "no algorithm for ", name_of(problem.collective));
    return choices.front().algorithm;
  }
  std::string known;
  for (const Algorithm& algorithm : all_algorithms()) {
    if (forced_name == algorithm.name) {
      if (algorithm.applies(problem)) return &algorithm;
      return fail(Code::InvalidArgument, "algorithm '", forced_name, "' does not serve ", name_of(problem.collective),
                  " on ", problem.ranks, problem.ranks == 1 ? " rank" : " ranks", " of this topology",
                  problem.uniform ? "" : " with blocks of different sizes");
    }
    known += concat(known.empty() ? "" : ", ", algorithm.name);
  }
  return fail(Code::InvalidArgument, "unknown algorithm '", forced_name, "' (known: ", known, ")");
}

Program program_of(const Algorithm& algorithm, const Problem& problem) {
  Builder builder(problem);
  algorithm.build(problem, builder);
  return fuse(builder.finish());
}

}  // namespace tutti

// campaign_blame: see campaign_blame.h. The patterns match the library's error texts. Who changes an error text has to change its pattern.
#include "tests/fault/campaign_blame.h"

#include <algorithm>
#include <regex>

namespace tutti::test::campaign {
namespace {

using What = Blame::What;

// "rank 2", "ranks 2, 3 and 7"; "rank 2 (pid 4711 on node7)"
constexpr const char* kRanks = "ranks? (\\d+(?:(?:, | and )\\d+)*)";
constexpr const char* kWho = "rank (\\d+)(?: \\(pid (\\d+) on [^)]*\\))?";

struct Pattern {
  What what;
  std::regex regex;  // group 1: ranks; group 2: pid
};

// Never destroyed: a process may exit while another thread uses it.
const std::vector<Pattern>& patterns() {
  const std::string who = kWho, ranks = kRanks;
  static const auto* const all = new std::vector<Pattern>{
      {What::Died, std::regex(who + " died(?! or)")},
      {What::GaveUp, std::regex(who + " died or gave up")},
      {What::Died, std::regex("the process that made the unique id \\(pid (())(\\d+) on [^)]*\\) died(?! or)")},
      {What::Nameless, std::regex("the process that made the unique id \\(pid (())(\\d+) on [^)]*\\) died or gave up")},
      {What::Silent, std::regex(who + " does not answer")},
      {What::Left, std::regex(who + " has left")},
      {What::Lags, std::regex(who + " has not called it")},
      {What::Lags, std::regex(who + " is waited for")},
      {What::Lags, std::regex("waiting for " + ranks)},
      {What::Lags, std::regex("in (?:Send|Recv) \\([^)]*\\) (?:from|to) rank (\\d+)")},
      {What::Lags, std::regex(who + " has not taken all that was sent to it")},
      {What::Aborted, std::regex(who + " aborted the communicator")},
      {What::Aborted, std::regex("the communicator was aborted on this rank \\((\\d+)\\)")},
      {What::GaveUp, std::regex(who + " gave up")},
      {What::Absent, std::regex(ranks + " of \\d+ did not join within")},
      {What::Absent, std::regex(ranks + " came to the rendezvous, but not")},
      {What::Failed, std::regex("(?:^|transport can be used: |reach one another: |; )rank (\\d+): (?!in |idle|has made)")},
      {What::Failed, std::regex("cannot reach rank (\\d+) by ")},
      {What::Failed, std::regex("rank (\\d+) cannot reach rank ")},
      {What::Failed, std::regex("peer rank (\\d+): shm")},
      {What::Failed, std::regex("CommSplit of [^:]*: rank (\\d+): ")},
      {What::Broke, std::regex("peer rank (\\d+): (?:the connection|.*injected)")},
      {What::Broke, std::regex("^rank (\\d+), .*injected by TUTTI_FAULT")},
      {What::Broke, std::regex("what rank \\d+ sent to rank (\\d+) is lost")},
      {What::Broke, std::regex("what rank (\\d+) sent to rank \\d+ is lost: .*injected")},
      {What::Nameless, std::regex("nobody is at ")},
      {What::Nameless, std::regex("no more connections of ranks can be accepted")},
      {What::Nameless, std::regex(" closes every connection")},
      {What::Nameless, std::regex(" could not be reached within ")},
      {What::Nameless, std::regex(" did not answer within ")},
      {What::Nameless, std::regex("its process died or gave up")},
  };
  return *all;
}

std::vector<int> numbers_in(const std::string& text) {
  std::vector<int> numbers;
  static const auto* const digits = new std::regex("\\d+");
  for (std::sregex_iterator at(text.begin(), text.end(), *digits), end; at != end; ++at) numbers.push_back(std::stoi(at->str()));
  return numbers;
}

}  // namespace

std::vector<Blame> blames_in(const std::string& sentence) {
  std::vector<Blame> blames;
  for (const Pattern& pattern : patterns()) {
    for (std::sregex_iterator at(sentence.begin(), sentence.end(), pattern.regex), end; at != end; ++at) {
      const auto group = [&](size_t index) { return at->size() > index && (*at)[index].matched ? (*at)[index].str() : std::string(); };
      const std::string pid = !group(3).empty() ? group(3) : group(2);
      Blame blame{pattern.what, -1, pid.empty() ? -1 : std::stoi(pid)};
      const std::vector<int> ranks = numbers_in(group(1));
      for (const int rank : ranks) {
        blame.rank = rank;
        blames.push_back(blame);
      }
      if (ranks.empty()) blames.push_back(blame);
    }
  }
  const bool different = sentence.find("made different calls") != std::string::npos || sentence.find("in a ring") != std::string::npos ||
                         sentence.find("waits for itself") != std::string::npos;
  if (different && sentence.find("has left without receiving") == std::string::npos)
    for (const int rank : ranks_in(sentence)) blames.push_back({What::Differs, rank});
  return blames;
}

std::vector<int> ranks_in(const std::string& sentence) {
  std::vector<int> ranks;
  static const auto* const regex = new std::regex(kRanks);
  for (std::sregex_iterator at(sentence.begin(), sentence.end(), *regex), end; at != end; ++at)
    for (const int rank : numbers_in((*at)[1].str()))
      if (std::find(ranks.begin(), ranks.end(), rank) == ranks.end()) ranks.push_back(rank);
  return ranks;
}

}  // namespace tutti::test::campaign

// differential: at least 10,000 calls drawn at random, each compared with a reference that shares no code with the library.
//
// DIFF_SEED (default 20240) starts the sequence, DIFF_CALLS says how many. All ranks draw the same calls; whether a rank
// works in place is drawn per rank. A failure prints the seed and the call.
#include <cmath>
#include <cstdlib>
#include <iostream>

#include "tests/catch.h"
#include "tests/harness/play.h"

namespace tutti::test {
namespace {

uint64_t from_environment(const char* name, uint64_t fallback) {
  const char* text = std::getenv(name);
  return text && *text ? std::strtoull(text, nullptr, 0) : fallback;
}

// 0, or log-uniform up to `largest`, odd numbers preferred.
size_t draw_count(uint64_t key, size_t largest) {
  if (key % 16 == 0) return 0;
  const double part = static_cast<double>(key >> 11) * 0x1p-53;
  const size_t count = static_cast<size_t>(std::exp(part * std::log(static_cast<double>(largest))));
  return count | (key / 16 % 4 != 0);
}

// The batch'th calls: alone or a few, grouped or not, on streams or not.
std::vector<Case> draw_batch(uint64_t seed, uint64_t batch, int ranks, bool& grouped) {
  const uint64_t key = hash(seed, batch);
  const size_t size = key % 3 == 0 ? 1 + key / 4 % 7 : 1;
  grouped = key / 64 % 3 == 0;
  const bool streams = key / 256 % 3 == 0;
  std::vector<Case> cases;
  for (uint64_t i = 0; i < size; ++i) {
    const uint64_t one = hash(key, 0xca11, i);
    const Kind kind = static_cast<Kind>(one % kKinds);
    const bool blocks = kind >= Kind::AllGather || kind == Kind::ReduceScatter || kind == Kind::ReduceScatterV;
    const size_t count = draw_count(hash(one, 1), blocks ? (1u << 16) / static_cast<size_t>(ranks) : 1u << 17);
    cases.push_back(random_case(one, kind, ranks, count));
    if (streams) cases.back().stream = static_cast<int>(hash(one, 2) % 3) - 1;
  }
  return cases;
}

uint64_t g_calls = 0, g_differences = 0;
uint64_t seed() {
  return from_environment("DIFF_SEED", 20240);
}
uint64_t calls() {
  return from_environment("DIFF_CALLS", 10000);
}

}  // namespace

TEST_CASE("random calls give what the reference gives", "[differential]") {
  constexpr int kRanks[] = {2, 3, 4, 7};
  constexpr uint64_t kShares[] = {30, 30, 25, 15};  // percent; the larger worlds are slower
  for (size_t w = 0; w < std::size(kRanks); ++w) {
    World world;
    world.ranks = kRanks[w];
    world.deadline_s = 300;
    const uint64_t wanted = (calls() * kShares[w] + 99) / 100;
    const Outcome outcome = run_ranks(world, [&](Rank& rank) {
      const tuttiComm_t comm = rank.join();
      uint64_t played = 0;
      {
        Player player(rank, {{rank.rank, comm}}, rank.ranks);
        for (uint64_t batch = 0; player.played() < wanted; ++batch) {
          bool grouped = false;
          const std::vector<Case> cases = draw_batch(hash(seed(), w), batch, rank.ranks, grouped);
          player.play(cases, grouped);
        }
        played = player.played();
      }
      rank.check(tuttiCommDestroy(comm), "tuttiCommDestroy");
      rank.record(played);
    });
    INFO("DIFF_SEED=" << seed() << ", " << kRanks[w] << " ranks\n" << outcome.text());
    CHECK(outcome.ok());
    const std::string difference = outcome.ok() ? compare_records(outcome) : "";
    CHECK(difference == "");
    if (!outcome.ok() || !difference.empty()) {
      ++g_differences;
    } else {
      g_calls += outcome.ranks[0].records.back();
    }
  }
}

}  // namespace tutti::test

int main(int argc, char** argv) {
  const int result = tutti::test::run_catch(argc, argv);
  std::cout << "differential: " << tutti::test::g_calls << " calls, " << tutti::test::g_differences
            << " differences (DIFF_SEED=" << tutti::test::seed() << ")" << std::endl;
  return result;
}

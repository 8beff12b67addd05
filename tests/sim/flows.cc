// flows: rates are max-min fair, and times are exact where they can be worked out by hand.
#include "lib/sched/flows.h"

#include <map>
#include <random>

#include "tests/catch.h"

namespace tutti {
namespace {

constexpr Picoseconds kSecond = 1'000'000'000'000;

struct Start {
  double time_s;
  std::vector<uint32_t> links;
  double bytes;
};

// When each flow ends, in seconds. `starts` by time.
std::vector<double> run(const std::vector<double>& capacities, const std::vector<Start>& starts, Flows* made = nullptr) {
  Flows own(capacities);
  Flows& flows = made ? *made : own;
  std::vector<double> ends(starts.size(), -1);
  std::vector<uint32_t> done;
  Picoseconds now = 0;
  for (size_t next = 0;;) {
    const Picoseconds begins = next < starts.size() ? static_cast<Picoseconds>(starts[next].time_s * kSecond) : kNever;
    now = std::min(begins, flows.next(now));
    if (now == kNever) return ends;
    done.clear();
    flows.collect(now, done);
    for (const uint32_t tag : done) ends[tag] = static_cast<double>(now) / kSecond;
    while (next < starts.size() && static_cast<Picoseconds>(starts[next].time_s * kSecond) == now) {
      const uint32_t tag = static_cast<uint32_t>(next);
      flows.start(flows.path(starts[next].links), starts[next].bytes, tag, now);
      ++next;
    }
  }
}

}  // namespace

TEST_CASE("flows: one alone") {
  REQUIRE(run({100}, {{0, {0}, 250}})[0] == Approx(2.5).epsilon(1e-9));
  REQUIRE(run({100, 20, 50}, {{1, {0, 1, 2}, 10}})[0] == Approx(1.5).epsilon(1e-9));  // the narrowest link decides
}

TEST_CASE("flows: two on one link, and what is left when one ends or begins") {
  const std::vector<double> together = run({100}, {{0, {0}, 100}, {0, {0}, 300}});
  REQUIRE(together[0] == Approx(2).epsilon(1e-9));  // 50 each
  REQUIRE(together[1] == Approx(4).epsilon(1e-9));  // 100 in 2 s, then 200 alone
  const std::vector<double> late = run({100}, {{0, {0}, 200}, {1, {0}, 100}});
  REQUIRE(late[0] == Approx(3).epsilon(1e-9));
  REQUIRE(late[1] == Approx(3).epsilon(1e-9));
}

TEST_CASE("flows: nobody gets more at the cost of who has less") {
  // One over both links, two on the first, one on the second: 10/3 each on the first, the rest of the second for the fourth.
  const std::vector<double> ends = run({10, 10}, {{0, {0, 1}, 100}, {0, {0}, 100}, {0, {0}, 100}, {0, {1}, 20}});
  REQUIRE(ends[0] == Approx(30).epsilon(1e-9));
  REQUIRE(ends[1] == Approx(30).epsilon(1e-9));
  REQUIRE(ends[3] == Approx(3).epsilon(1e-9));  // 20 at 20/3
}

TEST_CASE("flows: links count what they carry") {
  Flows flows({10, 10, 10});
  run({}, {{0, {0, 1}, 100}, {0, {1}, 50}}, &flows);
  REQUIRE(flows.carried() == std::vector<double>{100, 150, 0});
}

TEST_CASE("flows: a crowd takes as long as its links need") {
  // Every rank of 40 sends to every other, at times of their own: links in and out of each are busy to the end.
  constexpr uint32_t kRanks = 40;
  std::mt19937 random(7);
  std::vector<Start> starts;
  for (uint32_t from = 0; from < kRanks; ++from)
    for (uint32_t to = 0; to < kRanks; ++to)
      if (from != to) starts.push_back({std::uniform_real_distribution<>(0, 0.1)(random), {2 * from, 2 * to + 1}, 1});
  std::sort(starts.begin(), starts.end(), [](const Start& a, const Start& b) { return a.time_s < b.time_s; });
  const std::vector<double> ends = run(std::vector<double>(2 * kRanks, 1), starts);
  const auto [first, last] = std::minmax_element(ends.begin(), ends.end());
  REQUIRE(*first > 0);
  REQUIRE(*last > kRanks - 1);
  REQUIRE(*last < 1.03 * kRanks);
}

}  // namespace tutti

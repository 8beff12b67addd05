// worlds: thousands of worlds (world.h), each from a seed, and worlds with a fault planted in them, which have to be noticed.
//
// WORLDS=n runs n worlds. WORLD_SEED=s begins with seed s; with WORLDS=1 it repeats that world.
#include <cstdio>
#include <cstdlib>

#include "lib/base/clock.h"
#include "tests/catch.h"
#include "tests/world/comms.h"

using namespace tutti;
using namespace tutti::test::world;

namespace {

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* const given = std::getenv(variable);
  return given ? std::strtoull(given, nullptr, 10) : otherwise;
}

// How many worlds until the planted fault was noticed; 0: it was not.
int worlds_until_noticed(const Options& options, int most) {
  for (int i = 1; i <= most; ++i)
    if (!run_world(static_cast<uint64_t>(i), options).wrong.empty()) return i;
  return 0;
}

}  // namespace

TEST_CASE("worlds from seeds give the right results") {
  const uint64_t first = number_from("WORLD_SEED", 1), number = number_from("WORLDS", 3000);
  const int64_t begin = now_ns();
  uint64_t calls = 0, cut = 0, steps = 0;
  for (uint64_t seed = first; seed < first + number; ++seed) {
    const Outcome outcome = run_world(seed);
    INFO("WORLDS=1 WORLD_SEED=" << seed << " repeats it: " << outcome.what);
    REQUIRE(outcome.wrong == "");
    calls += static_cast<uint64_t>(outcome.calls);
    cut += outcome.cut;
    steps += outcome.steps;
  }
  if (number >= 1000) CHECK(cut > number / 50);
  const double seconds = static_cast<double>(now_ns() - begin) * 1e-9;
  std::printf("worlds: %llu from seed %llu, %llu failed at a cut line; %llu calls of a rank, %llu steps; %.0f worlds a second\n",
              static_cast<unsigned long long>(number), static_cast<unsigned long long>(first), static_cast<unsigned long long>(cut),
              static_cast<unsigned long long>(calls), static_cast<unsigned long long>(steps), static_cast<double>(number) / seconds);
}

TEST_CASE("communicators from seeds end as they have to") {
  const uint64_t first = number_from("WORLD_SEED", 1), number = number_from("WORLDS", 3000);
  const int64_t begin = now_ns();
  uint64_t calls = 0, failed = 0;
  for (uint64_t seed = first; seed < first + number; ++seed) {
    const Trouble trouble = static_cast<Trouble>(tutti::test::hash(seed) % 4);
    const Outcome outcome = run_comms(seed, trouble);
    INFO("WORLDS=1 WORLD_SEED=" << seed << " repeats it, trouble " << static_cast<int>(trouble) << ": " << outcome.what);
    REQUIRE(outcome.wrong == "");
    calls += static_cast<uint64_t>(outcome.calls);
    failed += outcome.cut;
  }
  if (number >= 1000) CHECK(failed > number / 10);
  const double seconds = static_cast<double>(now_ns() - begin) * 1e-9;
  std::printf("worlds: %llu of communicators from seed %llu, %llu failed as they had to; %llu batches of a rank; %.0f worlds a second\n",
              static_cast<unsigned long long>(number), static_cast<unsigned long long>(first), static_cast<unsigned long long>(failed),
              static_cast<unsigned long long>(calls), static_cast<double>(number) / seconds);
}

TEST_CASE("a seed repeats its world") {
  for (uint64_t seed = 1; seed < 50; ++seed) {
    const Outcome one = run_world(seed), other = run_world(seed);
    CHECK(one.steps == other.steps);
    CHECK(one.calls == other.calls);
    CHECK(one.what == other.what);
    const Trouble trouble = static_cast<Trouble>(seed % 4);
    CHECK(run_comms(seed, trouble).steps == run_comms(seed, trouble).steps);
  }
}

TEST_CASE("worlds notice faults that are planted in them") {
  struct Fault {
    const char* name;
    Options options;
  };
  const Fault faults[] = {{"a payload that is used again before it is read", {.planted = Planted::EarlyReuse}},
                          {"a message that is overwritten before it is released", {.planted = Planted::EarlyRelease}},
                          {"an end of reading that is never told", {.planted = Planted::LostReader}},
                          {"a lost message", {.planted = Planted::LostMessage}},
                          {"a work that does not wait for another", {.drop_dependency = true}}};
  for (const Fault& fault : faults) {
    const int noticed = worlds_until_noticed(fault.options, 300);
    std::printf("worlds: %s is noticed by world %d\n", fault.name, noticed);
    INFO(fault.name);
    CHECK(noticed > 0);
  }
}

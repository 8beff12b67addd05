// distance: when messages to a peer are written past the caches.
#include "transports/shm/distance.h"

#include "tests/catch.h"

using namespace tutti;
using shm::Distance;

namespace {

constexpr size_t kBytes = 64 << 10;

// Sends messages until one has been timed, as if it took this long for each KiB.
void time_one(Distance& distance, double ns_per_kib) {
  for (int messages = 0; !distance.due(kBytes); ++messages) REQUIRE(messages < 100);
  distance.took(kBytes, static_cast<int64_t>(ns_per_kib * kBytes / 1024));
}

}  // namespace

TEST_CASE("messages go past the caches while it costs much to write through them") {
  Distance distance{std::nullopt};
  CHECK(distance.way(kBytes) == shared_way(kBytes));
  for (int i = 0; i < 3; ++i) time_one(distance, 0.01);
  CHECK_FALSE(distance.far());
  for (int i = 0; i < 3; ++i) time_one(distance, 1e6);
  CHECK(distance.far());
  CHECK(distance.way(kBytes) == Way::Streamed);
  CHECK(distance.way(512) == Way::Ahead);
  for (int i = 0; i < 3; ++i) time_one(distance, 0.01);
  CHECK_FALSE(distance.far());
  CHECK(distance.way(kBytes) == shared_way(kBytes));
}

TEST_CASE("one slow message, as when the core was taken away, changes nothing") {
  Distance distance{std::nullopt};
  for (int i = 0; i < 3; ++i) time_one(distance, 0.01);
  time_one(distance, 1e9);
  CHECK_FALSE(distance.far());
  time_one(distance, 0.01);
  CHECK_FALSE(distance.far());
}

TEST_CASE("a way that is set stays, and nothing is timed") {
  for (const Way way : {Way::Ahead, Way::Strings, Way::Streamed}) {
    Distance distance(way);
    for (int i = 0; i < 1000; ++i) REQUIRE_FALSE(distance.due(kBytes));
    CHECK(distance.way(kBytes) == way);
    CHECK(distance.way(100) == Way::Ahead);
  }
}

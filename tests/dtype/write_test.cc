// write_test: each way writes each byte once, and nothing else.
#include <algorithm>
#include <random>
#include <vector>

#include "lib/dtype/write.h"
#include "tests/catch.h"

using namespace tutti;

TEST_CASE("all ways write the same bytes, at any alignment") {
  std::mt19937_64 random(1);
  for (const Way way : {Way::Plain, Way::Ahead, Way::Strings, Way::Streamed})
    for (const size_t bytes : {0, 1, 7, 63, 64, 65, 129, 2047, 2048, 2049, 5000, 70000})
      for (int turn = 0; turn < 8; ++turn) {
        std::vector<std::byte> from(bytes + 64), to(bytes + 192, std::byte{0x5a});
        for (std::byte& b : from) b = static_cast<std::byte>(random());
        const auto source = from.begin() + static_cast<ptrdiff_t>(random() % 64), begin = to.begin() + static_cast<ptrdiff_t>(random() % 64);
        const auto end = begin + static_cast<ptrdiff_t>(bytes);
        write(&*begin, &*source, bytes, way);
        INFO(name_of(way) << ", " << bytes << " bytes");
        REQUIRE(std::equal(begin, end, source));
        const auto untouched = [](std::byte b) { return b == std::byte{0x5a}; };
        REQUIRE(std::all_of(to.begin(), begin, untouched));
        REQUIRE(std::all_of(end, to.end(), untouched));
      }
}

TEST_CASE("the way through the caches does not stream") {
  for (const size_t bytes : {1, 1000, 5000, 1 << 20}) CHECK((shared_way(bytes) == Way::Ahead || shared_way(bytes) == Way::Strings));
}

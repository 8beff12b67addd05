// pair: two ranks in this process, which one thread drives.
#pragma once
#include <array>

#include "include/tutti/tutti.h"
#include "tests/catch.h"

namespace tutti::test {

struct Pair {
  Pair() { REQUIRE(tuttiCommInitAll(comms.data(), 2, nullptr) == tuttiSuccess); }
  ~Pair() {
    for (tuttiComm_t comm : comms) CHECK(tuttiCommDestroy(comm) == tuttiSuccess);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  std::array<tuttiComm_t, 2> comms{};
};

}  // namespace tutti::test

// suite: what the conformance tests share: the transport under test, and the count of cases printed at the end.
#pragma once
#include <string>

#include "tests/harness/play.h"

namespace tutti::test {

// CONFORMANCE_TRANSPORT, else "shm".
std::string transport();

// Runs the body in a world over the transport under test, CHECKs that all ranks finished and recorded the same, and adds the
// cases that each rank returns (all return the same) to the tally.
void conform(const std::string& name, World world, const std::function<uint64_t(Rank&)>& body);

struct Tally {
  uint64_t cases = 0, worlds = 0;
};
Tally& tally();

}  // namespace tutti::test

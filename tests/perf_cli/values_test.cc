// values_test: the benchmarks' check has to see what it is there for: one wrong element of any type, under any operation.
#include "perf/values.h"

#include <cstring>

#include "perf/collective.h"
#include "tests/catch.h"

using tutti::perf::size_of;
using tutti::perf::Values;

namespace {

constexpr size_t kCount = 3000;  // more than one tile of the check, and not a whole number of them
constexpr uint32_t kIteration = 5;

std::vector<uint64_t> buffer() {
  return std::vector<uint64_t>(kCount + 1);
}

// Changes an element's highest byte, where its sign and most of its exponent are. +0 and -0 are equal: not that one alone.
void spoil(std::vector<uint64_t>& data, size_t index, size_t element) {
  reinterpret_cast<unsigned char*>(data.data())[(index + 1) * element - 1] ^= 0xc0;
}

}  // namespace

TEST_CASE("a reduction over one rank is its input, and every planted error is counted", "[perf]") {
  for (int type = 0; type < tuttiNumTypes; ++type)
    for (int op = 0; op < tuttiNumOps; ++op) {
      CAPTURE(type, op);
      const auto t = static_cast<tuttiDataType_t>(type);
      const Values values(t, false, static_cast<tuttiRedOp_t>(op), 1);
      auto data = buffer();
      values.generate(data.data(), kIteration, 0, 7, kCount);
      CHECK(values.wrong_reductions(data.data(), kIteration, 7, kCount) == 0);
      CHECK(values.wrong_reductions(data.data(), kIteration + 1, 7, kCount) > kCount / 3);
      spoil(data, 0, size_of(t));
      spoil(data, kCount - 1, size_of(t));
      CHECK(values.wrong_reductions(data.data(), kIteration, 7, kCount) == 2);
    }
}

TEST_CASE("a copy is compared bit by bit, against its own rank and place", "[perf]") {
  for (int type = 0; type < tuttiNumTypes; ++type) {
    CAPTURE(type);
    const auto t = static_cast<tuttiDataType_t>(type);
    const Values values(t, true, tuttiSum, 3);
    auto data = buffer();
    values.generate(data.data(), kIteration, 2, 100, kCount);
    CHECK(values.wrong_copies(data.data(), kIteration, 2, 100, kCount) == 0);
    CHECK(values.wrong_copies(data.data(), kIteration, 1, 100, kCount) > kCount / 2);
    CHECK(values.wrong_copies(data.data(), kIteration, 2, 101, kCount) > kCount / 2);
    reinterpret_cast<unsigned char*>(data.data())[40 * size_of(t)] ^= 1;
    CHECK(values.wrong_copies(data.data(), kIteration, 2, 100, kCount) == 1);
  }
}

TEST_CASE("a contribution that is missing or counted twice is seen", "[perf]") {
  const Values values(tuttiFloat32, false, tuttiSum, 3);
  std::vector<float> inputs[3], sum(kCount), lacking(kCount), doubled(kCount);
  for (int r = 0; r < 3; ++r) {
    inputs[r].resize(kCount);
    values.generate(inputs[r].data(), kIteration, r, 0, kCount);
  }
  for (size_t i = 0; i < kCount; ++i) {
    lacking[i] = inputs[2][i] + inputs[0][i];
    sum[i] = lacking[i] + inputs[1][i];
    doubled[i] = sum[i] + inputs[1][i];
  }
  CHECK(values.wrong_reductions(sum.data(), kIteration, 0, kCount) == 0);
  CHECK(values.wrong_reductions(lacking.data(), kIteration, 0, kCount) == kCount);
  CHECK(values.wrong_reductions(doubled.data(), kIteration, 0, kCount) == kCount);
}

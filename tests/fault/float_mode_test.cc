// float_mode: a rank may use another floating-point mode than the default. The results do not depend on it, and the library does not change
// it.
#include <cfenv>
#include <cmath>

#include "tests/catch.h"
#include "tests/harness/ranks.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace tutti::test;

namespace {

enum class Mode { Default, Flush, Down, Up, Traps };

void set_mode(Mode mode) {
#if defined(__x86_64__)
  if (mode == Mode::Flush) _mm_setcsr(_mm_getcsr() | 0x8040);
#elif defined(__aarch64__)
  if (mode == Mode::Flush) asm volatile("msr fpcr, %0" : : "r"(uint64_t{1} << 24));
#endif
  if (mode == Mode::Down) std::fesetround(FE_DOWNWARD);
  if (mode == Mode::Up) std::fesetround(FE_UPWARD);
  if (mode == Mode::Traps) feenableexcept(FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW);
}

uint64_t hash_of(const void* data, size_t bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (size_t i = 0; i < bytes; ++i) hash = (hash ^ static_cast<const unsigned char*>(data)[i]) * 0x100000001b3;
  return hash;
}

constexpr size_t kCount = 3000;

// Values whose sums depend on the mode: subnormal numbers, odd last bits, the largest numbers, infinities.
std::vector<float> values_of(int rank) {
  std::vector<float> values(kCount);
  for (size_t i = 0; i < kCount; ++i) {
    const float base = i % 3 == 0 ? 1e-41f : i % 3 == 1 ? 1.0f + 0x1p-23f : i % 9 == 2 ? INFINITY : 3e38f;
    values[i] = base * static_cast<float>(1 + (i + static_cast<size_t>(rank)) % 5);
  }
  return values;
}

// A hash of the results of many calls.
uint64_t results_of(Rank& rank, tuttiComm_t comm, tuttiStream_t stream, const std::vector<float>& in) {
  std::vector<float> out(kCount);
  uint64_t hash = 0;
  tuttiRedOp_t third;
  float factor = 1.0f / 3;
  rank.check(tuttiRedOpCreatePreMulSum(&third, &factor, tuttiFloat, tuttiScalarHostImmediate, comm), "op");
  for (const tuttiRedOp_t op : {tuttiSum, tuttiAvg, tuttiProd, third}) {
    rank.check(tuttiAllReduce(in.data(), out.data(), kCount, tuttiFloat, op, comm, stream), "AllReduce");
    if (stream) rank.check(tuttiStreamSynchronize(stream), "synchronize");
    hash = hash * 31 + hash_of(out.data(), kCount * sizeof(float));
  }
  rank.check(tuttiRedOpDestroy(third, comm), "destroy the op");
  for (const tuttiDataType_t type : {tuttiFloat16, tuttiBfloat16, tuttiFloat8e5m2}) {
    rank.check(tuttiAllReduce(in.data(), out.data(), kCount, type, tuttiSum, comm, nullptr), "AllReduce");
    hash = hash * 31 + hash_of(out.data(), kCount * sizeof(float));
  }
  return hash;
}

}  // namespace

TEST_CASE("results do not depend on the caller's floating-point mode, and calls keep it", "[fault]") {
  uint64_t right = 0;
  for (const Mode mode : {Mode::Default, Mode::Flush, Mode::Down, Mode::Up, Mode::Traps}) {
    INFO("mode " << static_cast<int>(mode));
    const Outcome outcome = run_ranks({.ranks = 3}, [&](Rank& rank) {
      const std::vector<float> in = values_of(rank.rank);
      if (rank.rank == 1) set_mode(mode);  // before init: threads inherit the mode, and algorithms are chosen in it
      const int rounding = std::fegetround(), traps = fegetexcept();
      const tuttiComm_t comm = rank.join();
      tuttiStream_t stream = nullptr;
      rank.check(tuttiStreamCreate(&stream), "stream");
      rank.record(results_of(rank, comm, nullptr, in));
      rank.record(results_of(rank, comm, stream, in));
      rank.check(tuttiStreamDestroy(stream), "destroy the stream");
      rank.check(tuttiCommDestroy(comm), "destroy");
      expect(std::fegetround() == rounding && fegetexcept() == traps, "the caller's mode has changed");
      volatile float tiny = 1e-38f, half = 0.5f;
      expect((tiny * half == 0) == (mode == Mode::Flush && rank.rank == 1), "the caller's mode has changed");
    });
    INFO(outcome.text());
    REQUIRE(outcome.ok());
    if (mode == Mode::Default) right = outcome.ranks[0].records.at(0);
    for (const RankOutcome& one : outcome.ranks)
      for (const uint64_t hash : one.records) CHECK(hash == right);
  }
}

// values: what ranks put into their buffers, and what a reduction of it must give.
//
// Element i of rank r's input is a pure function of (seed, r, i), so every rank can work out what it must receive without
// another's memory. Decoding and arithmetic are the tests' own, in wide types; nothing of lib/dtype is used.
//
// What is demanded of a result, k being the number of summands or factors:
//   integers                  exact, modulo 2^bits; avg: the wrapped sum over n, truncated towards zero
//   max, min; Fill::Exact     exact
//   other floats              |error| <= ((1+u)^(k+2) - 1) * M + 8 k t     u: half a unit in the last place of the type
//                             M: the sum of the summands' magnitudes, or the magnitude of the product; t: the smallest
//                             subnormal. It allows a rounding to the type at every hop, one for a factor (avg, premulsum),
//                             and one for that factor itself.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "include/tutti/tutti.h"

namespace tutti::test {

size_t size_of(tuttiDataType_t type);
const char* name_of(tuttiDataType_t type);
bool is_float(tuttiDataType_t type);

inline constexpr int kPreMulSum = 5;  // a test's op beside tuttiSum..tuttiAvg
inline constexpr int kOps = 6;
const char* name_of_op(int op);

// Bits: any bit pattern. Terms: floats within (-2, 2). Factors: floats of magnitude 0.75..1.25. Exact: so few bits that any
// order of up to 8 ranks' additions (-1, 0, 1) or multiplications (powers of two) is exact in every type.
enum class Fill { Bits, Terms, Factors, ExactTerms, ExactFactors };
Fill fill_for(tuttiDataType_t type, int op, bool exact);

// A well mixed function of its arguments.
uint64_t hash(uint64_t a, uint64_t b = 0, uint64_t c = 0);

void write_input(std::byte* to, tuttiDataType_t type, Fill fill, uint64_t seed, int rank, size_t first, size_t count);
// The factor of PreMulSum on a rank.
void write_scalar(std::byte* to, tuttiDataType_t type, uint64_t seed, int rank, bool exact);

struct Reduction {
  tuttiDataType_t type;
  int op;
  int ranks;
  uint64_t seed;
  bool exact;
};
// Compares `count` results with the reduction of elements [first, first + count) of all ranks. "" or the first difference.
std::string compare_reduced(const Reduction& reduction, size_t first, size_t count, const std::byte* got);
// The same for elements that came from one rank unchanged.
std::string compare_copied(tuttiDataType_t type, Fill fill, uint64_t seed, int from, size_t first, size_t count,
                           const std::byte* got);

}  // namespace tutti::test

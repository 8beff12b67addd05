// values: what goes into the buffers, and what has to come out.
//
// An input element is a hash of (iteration, rank, index). So each rank can compute the inputs of all ranks, and from them its output,
// without communication and without the library's kernels.
//
// What is compared:
//  - moved data: all bits;
//  - integers: all bits; any value is used, and sums and products wrap as the contract says;
//  - float prod, max, min: exactly (products are of powers of two near 1);
//  - half, bfloat16, f8 sum: exactly, as long as 2^p / ranks >= 1 (p: bits of the significand), because small integers are
//    used whose partial sums are representable in any order; avg likewise where 1/ranks is a power of two;
//  - every other float sum, avg: |result - reference| <= 2 (ranks + 2) u * sum |x| + ranks * smallest subnormal, u = 2^-p:
//    one rounding per addition and two for avg's scaling, in any order, and a factor 2 for the double reference.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tutti/tutti.h"

namespace tutti::perf {

class Values {
 public:
  // moves: bits are only moved; op is ignored.
  Values(tuttiDataType_t type, bool moves, tuttiRedOp_t op, int ranks);

  // Writes elements [first, first + count) of `rank`'s input.
  void generate(void* to, uint32_t iteration, int rank, size_t first, size_t count) const;

  // How many of the `count` elements at `data` are not what they should be: a copy of rank's input, or all ranks' reduced.
  size_t wrong_copies(const void* data, uint32_t iteration, int rank, size_t first, size_t count) const;
  size_t wrong_reductions(const void* data, uint32_t iteration, size_t first, size_t count) const;

 private:
  template <typename T>
  size_t wrong_integers(const T* data, uint32_t iteration, size_t first, size_t count) const;
  template <typename T, typename Read>
  size_t wrong_floats(const T* data, uint32_t iteration, size_t first, size_t count, Read read) const;

  tuttiDataType_t type_;
  bool moves_;
  tuttiRedOp_t op_;
  int ranks_;
  bool exact_ = true;
  double unit_roundoff_ = 0, smallest_ = 0;
  std::vector<uint16_t> palette_;  // encodings that inputs are drawn from; half, bfloat16 and f8 only
  std::vector<float> decoded_;     // value of each encoding; the same types
};

}  // namespace tutti::perf

// dtype: element types and the kernels that combine them.
//
// All kernels take any alignment and any count, zero included. dst may be equal to any source, but must not overlap one
// in part. 16- and 8-bit floats are accumulated in fp32 over all sources and rounded once, to nearest even; fp8 saturates to
// the largest finite value; NaN stays NaN. Integers wrap. max/min propagate NaN.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/dtype/write.h"

namespace tutti {

enum class Type : uint8_t { I8, U8, I32, U32, I64, U64, F16, F32, F64, BF16, F8E4M3, F8E5M2 };  // the C API's numbers
inline constexpr int kTypes = 12;
enum class Op : uint8_t { Sum, Prod, Max, Min };

inline constexpr uint8_t kTypeBytes[kTypes] = {1, 1, 4, 4, 8, 8, 2, 4, 8, 2, 1, 1};
inline size_t size_of(Type type) { return kTypeBytes[static_cast<int>(type)]; }
const char* name_of(Type type);
const char* name_of(Op op);
bool is_float(Type type);

// dst[i] = sources[0][i] op sources[1][i] op ... in this order. sources.size() >= 1; 1 is a copy.
void combine(std::byte* dst, std::span<const std::byte* const> sources, size_t count, Type type, Op op);

// The same result at several places, in one pass over the sources. A destination may be equal to any source, but no two destinations to
// each other.
struct Destination {
  std::byte* at;
  Way way = Way::Plain;
};
void combine(std::span<const Destination> to, std::span<const std::byte* const> sources, size_t count, Type type, Op op);

// A multiplier of a given type (PreMulSum, and 1/n for avg), held as that type's value.
struct Scale {
  Type type;
  union {
    double real;       // float types
    uint64_t integer;  // integer types: the element's bytes, zeros above
  };
};
Scale scale_from(const void* scalar, Type type);  // reads one element
Scale scale_one_over(int ranks, Type type);       // float types only
// dst[i] = round(source[i] * scale); integers wrap.
void scale(std::byte* dst, const std::byte* source, size_t count, const Scale& factor);
// data[i] /= divisor, truncated towards zero; integer types only, divisor > 0.
void divide(std::byte* data, size_t count, Type type, int divisor);

// One value to and from double (int64/uint64 beyond 2^53 lose bits); for tests and tools.
double to_double(const std::byte* element, Type type);
void from_double(std::byte* element, Type type, double value);

// Which instruction set the kernels were dispatched to: "avx512", "avx2", "baseline".
const char* kernel_isa();

}  // namespace tutti

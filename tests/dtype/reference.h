// A second opinion on arithmetic, for the tests of lib/dtype: scalar, slow, and written another way than the library.
//
// Small floats are tables of all their values; rounding is a search for the nearest one. Every result of more than one
// source that is a NaN is the type's canonical NaN, so that results are compared by their bits.
#pragma once
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "lib/dtype/dtype.h"

namespace tutti::reference {

inline constexpr Type kAllTypes[] = {Type::I8,  Type::U8,  Type::I32, Type::U32,  Type::I64,    Type::U64,
                                     Type::F16, Type::F32, Type::F64, Type::BF16, Type::F8E4M3, Type::F8E5M2};
inline constexpr Type kSmallTypes[] = {Type::F16, Type::BF16, Type::F8E4M3, Type::F8E5M2};
inline constexpr Op kAllOps[] = {Op::Sum, Op::Prod, Op::Max, Op::Min};

// A float of 16 or 8 bits.
double small_value(Type type, unsigned code);
unsigned small_nearest(Type type, double value);
unsigned canonical_nan(Type type);

// One element: sources[0] op sources[1] op ..., each pointing to one element.
void combine_one(std::byte* dst, const std::vector<const std::byte*>& sources, Type type, Op op);

// Bytes of `count` elements: by turns any bits at all (NaNs, infinities, subnormals) and values of moderate size.
std::vector<std::byte> random_elements(std::mt19937_64& random, Type type, size_t count);

// DTYPE_SEED, else one from the clock. Printed, so that a failure can be repeated.
uint64_t seed();

}  // namespace tutti::reference

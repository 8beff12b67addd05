// formats: how each element type is loaded into lanes and stored from them. Only for kernels.cc; see lanes.h.
//
// A format is a template over the number of lanes with
//   Value    what arithmetic happens in (fp32 for 16- and 8-bit floats)     kBytes   of one element in memory
//   load()   kLanes elements from any address                               store()  rounds to nearest even
// A single lane is a vector of one, so tails run through the same code. store() writes any NaN as the type's one positive
// quiet NaN: which of two NaNs an addition returns differs between compilers and processors.
#pragma once
#include "lib/dtype/lanes.h"

namespace tutti {
namespace {

constexpr uint32_t kF32Infinity = 0x7f80'0000, kF32Nan = 0x7fc0'0000;

// Integers, fp32, fp64. An accumulator leaves NaNs as they are until the last store.
template <typename T, int kLanes, bool kAccumulator = false>
struct Native {
  using Value = T;
  using Lanes = Vector<T, kLanes>;
  static constexpr size_t kBytes = sizeof(T);

  TUTTI_INLINE Lanes load(const std::byte* from) { return load_vector<Lanes>(from); }
  TUTTI_INLINE void store(std::byte* to, Lanes v) {
    if constexpr (std::is_floating_point_v<T> && !kAccumulator) v = v == v ? v : Lanes{} + static_cast<T>(__builtin_nan(""));
    store_vector(to, v);
  }
};

// Floats of 16 bits and less by integer arithmetic. Subnormals are exact differences on loading, and on storing come from
// the rounding of an fp32 addition whose last place is theirs; fp32 subnormals, slow on some processors, are not made.
template <typename Code, int kMantissa, int kBias, uint32_t kLargest, bool kHasInfinity, bool kSaturates, int kLanes>
struct Small {
  using Value = float;
  using Lanes = Vector<float, kLanes>;
  using Bits = Vector<uint32_t, kLanes>;
  using Signed = Vector<int32_t, kLanes>;  // magnitudes are below 2^31, and signed compares exist everywhere
  static constexpr size_t kBytes = sizeof(Code);

  static constexpr int kCodeBits = 8 * sizeof(Code);
  static constexpr int kShift = 23 - kMantissa;
  static constexpr uint32_t kSign = 1u << (kCodeBits - 1);
  static constexpr uint32_t kNan = kHasInfinity ? kSign - (1u << (kMantissa - 1)) : kSign - 1;
  static constexpr uint32_t kRebias = 127 - kBias;                  // fp32 exponent - ours
  static constexpr uint32_t kSmallestNormal = (kRebias + 1) << 23;  // as fp32
  static constexpr uint32_t kLargestF32 = (kLargest << kShift) + (kRebias << 23);
  static constexpr uint32_t kMagic = (kRebias + 1 + kShift) << 23;  // fp32 whose last place is our smallest subnormal

  TUTTI_INLINE Lanes load(const std::byte* from) {
    const Bits code = load_codes<Code, kLanes>(from);
    const Bits magnitude = code & (kSign - 1);
    const Bits wide = magnitude << kShift;
    const Lanes subnormal = (Lanes)(wide | kSmallestNormal) - (Lanes)(Bits{} + kSmallestNormal);
    Bits bits = (Signed)magnitude < (1 << kMantissa) ? (Bits)subnormal : wide + (kRebias << 23);
    const Bits special = kHasInfinity ? wide | kF32Infinity : Bits{} + kF32Nan;
    bits = (Signed)magnitude > static_cast<int32_t>(kLargest) ? special : bits;
    return (Lanes)(bits | (code & kSign) << (32 - kCodeBits));
  }

  TUTTI_INLINE void store(std::byte* to, Lanes v) {
    const Bits bits = (Bits)v;
    Bits magnitude = bits & 0x7fff'ffff;
    if constexpr (kSaturates) {
      magnitude = (Signed)magnitude > static_cast<int32_t>(kLargestF32) ? Bits{} + kLargestF32 : magnitude;
    }
    const Bits rounded = magnitude + ((1u << (kShift - 1)) - 1) + (magnitude >> kShift & 1);
    const Bits normal = (rounded >> kShift) - (kRebias << kMantissa);
    const Bits subnormal = (Bits)((Lanes)magnitude + (Lanes)(Bits{} + kMagic)) - kMagic;
    Bits code = (Signed)magnitude < static_cast<int32_t>(kSmallestNormal) ? subnormal : normal;
    if constexpr (!kSaturates) code = (Signed)code > static_cast<int32_t>(kLargest) ? Bits{} + (kLargest + 1) : code;
    code |= bits >> (32 - kCodeBits) & kSign;
    store_codes<Code, kLanes>(to, v == v ? code : Bits{} + kNan);
  }
};

// The upper half of an fp32.
template <int kLanes>
struct Bf16 {
  using Value = float;
  using Lanes = Vector<float, kLanes>;
  using Bits = Vector<uint32_t, kLanes>;
  static constexpr size_t kBytes = 2;

  TUTTI_INLINE Lanes load(const std::byte* from) { return (Lanes)(load_codes<uint16_t, kLanes>(from) << 16); }
  TUTTI_INLINE void store(std::byte* to, Lanes v) {
    const Bits bits = (Bits)v;
    const Bits rounded = bits + 0x7fff + (bits >> 16 & 1);
    // A NaN is replaced, because rounding could carry it into infinity.
    store_codes<uint16_t, kLanes>(to, (v == v ? rounded : Bits{} + kF32Nan) >> 16);
  }
};

template <int kLanes>
using PlainE4m3 = Small<uint8_t, 3, 7, 0x7e, false, true, kLanes>;
template <int kLanes>
using PlainE5m2 = Small<uint8_t, 2, 15, 0x7b, true, true, kLanes>;

#if TUTTI_HALF
template <int kLanes>
struct F16 {
  using Value = float;
  using Lanes = Vector<float, kLanes>;
  static constexpr size_t kBytes = 2;

  TUTTI_INLINE Lanes load(const std::byte* from) {
    return widen_halves<kLanes>(load_vector<Vector<uint16_t, kLanes>>(from));
  }
  TUTTI_INLINE void store(std::byte* to, Lanes v) {
    v = v == v ? v : Lanes{} + static_cast<float>(__builtin_nan(""));
    store_vector(to, narrow_halves<kLanes>(v));
  }
};

// e5m2 is the upper half of an fp16; e4m3 is one with a shorter exponent, which leaves a factor of 2^8 and the NaN.
template <int kLanes>
struct E5m2 : PlainE5m2<kLanes> {
  TUTTI_INLINE Vector<float, kLanes> load(const std::byte* from) {
    return widen_halves<kLanes>(load_bytes<kLanes>(from) << 8);
  }
};
template <int kLanes>
struct E4m3 : PlainE4m3<kLanes> {
  TUTTI_INLINE Vector<float, kLanes> load(const std::byte* from) {
    using Lanes = Vector<float, kLanes>;
    const auto codes = load_bytes<kLanes>(from);
    const Lanes v = widen_halves<kLanes>((codes & 0x80) << 8 | (codes & 0x7f) << 7) * 256.0f;
    const auto finite = (v < 480.0f) & (v > -480.0f);
    return finite ? v : Lanes{} + static_cast<float>(__builtin_nan(""));
  }
};
#else
template <int kLanes>
using F16 = Small<uint16_t, 10, 15, 0x7bff, true, false, kLanes>;
template <int kLanes>
using E4m3 = PlainE4m3<kLanes>;
template <int kLanes>
using E5m2 = PlainE5m2<kLanes>;
#endif

template <int kLanes>
using F32 = Native<float, kLanes>;
template <int kLanes>
using F64 = Native<double, kLanes>;
template <int kLanes>
using F32Sum = Native<float, kLanes, true>;
template <int kLanes>
using F64Sum = Native<double, kLanes, true>;
template <int kLanes>
using I8 = Native<int8_t, kLanes>;
template <int kLanes>
using U8 = Native<uint8_t, kLanes>;
template <int kLanes>
using I32 = Native<int32_t, kLanes>;
template <int kLanes>
using U32 = Native<uint32_t, kLanes>;
template <int kLanes>
using I64 = Native<int64_t, kLanes>;
template <int kLanes>
using U64 = Native<uint64_t, kLanes>;

}  // namespace
}  // namespace tutti

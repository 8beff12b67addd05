// lanes: vectors of kLanes elements, and how each element type is loaded into them and stored from them.
//
// Only for kernels.cc, which is compiled once per instruction set: all names have internal linkage and nothing inline comes
// from the standard library, because the linker keeps one copy of an inline function for all callers, and that copy might
// be the one in AVX-512. A format is a template over the number of lanes with
//   Value    what arithmetic happens in (fp32 for 16- and 8-bit floats)     kBytes   of one element in memory
//   load()   kLanes elements from any address                               store()  rounds to nearest even
// A single lane is a vector of one, so tails run through the same code.
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>
#if defined(__F16C__)
#include <immintrin.h>
#endif

namespace tutti {
namespace {

#define TUTTI_INLINE [[gnu::always_inline]] static inline

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;  // SSE2, NEON
#endif

template <typename T, int kLanes>
struct VectorOf {
  typedef T type __attribute__((vector_size(sizeof(T) * kLanes)));
};
template <typename T, int kLanes>
using Vector = typename VectorOf<T, kLanes>::type;

template <typename V>
TUTTI_INLINE V load_vector(const std::byte* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof(V));
  return v;
}
template <typename V>
TUTTI_INLINE void store_vector(std::byte* to, V v) {
  __builtin_memcpy(to, &v, sizeof(V));
}

constexpr uint32_t kF32Infinity = 0x7f80'0000, kF32Nan = 0x7fc0'0000;

// Integers, fp32, fp64.
template <typename T, int kLanes>
struct Native {
  using Value = T;
  using Lanes = Vector<T, kLanes>;
  static constexpr size_t kBytes = sizeof(T);

  TUTTI_INLINE Lanes load(const std::byte* from) { return load_vector<Lanes>(from); }
  TUTTI_INLINE void store(std::byte* to, Lanes v) {
    if constexpr (std::is_floating_point_v<T>) v = v == v ? v : Lanes{} + static_cast<T>(__builtin_nan(""));
    store_vector(to, v);
  }
};

// Floats of 16 bits and less by integer arithmetic. Subnormals come from the rounding of an fp32 addition whose last place
// is theirs; it never sees an fp32 subnormal on loading.
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
  static constexpr uint32_t kRebias = 127 - kBias;                    // fp32 exponent - ours
  static constexpr uint32_t kSmallestNormal = (kRebias + 1) << 23;    // as fp32
  static constexpr uint32_t kLargestF32 = (kLargest << kShift) + (kRebias << 23);
  static constexpr uint32_t kMagic = (kRebias + 1 + kShift) << 23;    // fp32 whose last place is our smallest subnormal

  TUTTI_INLINE Lanes load(const std::byte* from) {
    const Bits code = __builtin_convertvector((load_vector<Vector<Code, kLanes>>(from)), Bits);
    const Bits magnitude = code & (kSign - 1);
    const Signed compared = reinterpret_cast<Signed>(magnitude);
    const Bits wide = magnitude << kShift;
    const Lanes one = reinterpret_cast<Lanes>(wide | kSmallestNormal) - reinterpret_cast<Lanes>(Bits{} + kSmallestNormal);
    Bits bits = compared < (1 << kMantissa) ? reinterpret_cast<Bits>(one) : wide + (kRebias << 23);
    const Bits special = kHasInfinity ? wide | kF32Infinity : Bits{} + kF32Nan;
    bits = compared > static_cast<int32_t>(kLargest) ? special : bits;
    return reinterpret_cast<Lanes>(bits | (code & kSign) << (32 - kCodeBits));
  }

  TUTTI_INLINE void store(std::byte* to, Lanes v) {
    const Bits bits = reinterpret_cast<Bits>(v);
    const Bits sign = bits >> 31 << (kCodeBits - 1);
    Bits magnitude = bits & 0x7fff'ffff;
    const Signed nan = reinterpret_cast<Signed>(magnitude) > static_cast<int32_t>(kF32Infinity);
    if constexpr (kSaturates) {
      const Signed over = reinterpret_cast<Signed>(magnitude) > static_cast<int32_t>(kLargestF32);
      magnitude = over ? Bits{} + kLargestF32 : magnitude;
    }
    const Bits rounded = magnitude + ((1u << (kShift - 1)) - 1) + (magnitude >> kShift & 1);
    const Bits normal = (rounded >> kShift) - (kRebias << kMantissa);
    const Lanes summed = reinterpret_cast<Lanes>(magnitude) + reinterpret_cast<Lanes>(Bits{} + kMagic);
    const Bits subnormal = reinterpret_cast<Bits>(summed) - kMagic;
    Bits code = reinterpret_cast<Signed>(magnitude) < static_cast<int32_t>(kSmallestNormal) ? subnormal : normal;
    if constexpr (!kSaturates) {
      const Signed over = reinterpret_cast<Signed>(code) > static_cast<int32_t>(kLargest);
      code = over ? Bits{} + (kLargest + 1) : code;
    }
    code = nan ? Bits{} + kNan : code | sign;
    store_vector(to, __builtin_convertvector(code, Vector<Code, kLanes>));
  }
};

// The upper half of an fp32.
template <int kLanes>
struct Bf16 {
  using Value = float;
  using Lanes = Vector<float, kLanes>;
  using Bits = Vector<uint32_t, kLanes>;
  static constexpr size_t kBytes = 2;

  TUTTI_INLINE Lanes load(const std::byte* from) {
    const Bits code = __builtin_convertvector((load_vector<Vector<uint16_t, kLanes>>(from)), Bits);
    return reinterpret_cast<Lanes>(code << 16);
  }
  TUTTI_INLINE void store(std::byte* to, Lanes v) {
    const Bits bits = reinterpret_cast<Bits>(v);
    const Bits rounded = bits + 0x7fff + (bits >> 16 & 1);
    const Bits code = (v == v ? rounded : Bits{} + kF32Nan) >> 16;  // a NaN's rounding could carry into infinity
    store_vector(to, __builtin_convertvector(code, Vector<uint16_t, kLanes>));
  }
};

// fp16 with the processor's own conversions where it has them.
#if defined(__F16C__)
template <int kLanes>
struct F16 {
  using Value = float;
  using Lanes = Vector<float, kLanes>;
  using Codes = Vector<uint16_t, kLanes>;
  static constexpr size_t kBytes = 2;

  // The zero-masking forms: gcc 12 warns of an uninitialized value inside the plain ones, and drops a full mask.
  TUTTI_INLINE Lanes load(const std::byte* from) {
    const Codes codes = load_vector<Codes>(from);
#if defined(__AVX512F__)
    if constexpr (kLanes == 16) return _mm512_maskz_cvtph_ps(0xffff, reinterpret_cast<__m256i>(codes));
#endif
    if constexpr (kLanes == 8) return _mm256_cvtph_ps(reinterpret_cast<__m128i>(codes));
    if constexpr (kLanes <= 4) {
      __m128i padded = _mm_setzero_si128();
      __builtin_memcpy(&padded, &codes, sizeof(codes));
      const __m128 four = _mm_cvtph_ps(padded);
      Lanes v;
      __builtin_memcpy(&v, &four, sizeof(v));
      return v;
    }
  }
  TUTTI_INLINE void store(std::byte* to, Lanes v) {
    v = v == v ? v : Lanes{} + static_cast<float>(__builtin_nan(""));
#if defined(__AVX512F__)
    if constexpr (kLanes == 16) store_vector(to, _mm512_maskz_cvtps_ph(0xffff, v, _MM_FROUND_TO_NEAREST_INT));
#endif
    if constexpr (kLanes == 8) store_vector(to, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
    if constexpr (kLanes <= 4) {
      __m128 padded = _mm_setzero_ps();
      __builtin_memcpy(&padded, &v, sizeof(v));
      const __m128i codes = _mm_cvtps_ph(padded, _MM_FROUND_TO_NEAREST_INT);
      __builtin_memcpy(to, &codes, sizeof(Codes));
    }
  }
};
#elif defined(__aarch64__)
template <int kLanes>
struct F16 {
  using Value = float;
  using Lanes = Vector<float, kLanes>;
  using Halves = Vector<__fp16, kLanes>;
  static constexpr size_t kBytes = 2;

  TUTTI_INLINE Lanes load(const std::byte* from) { return __builtin_convertvector(load_vector<Halves>(from), Lanes); }
  TUTTI_INLINE void store(std::byte* to, Lanes v) {
    v = v == v ? v : Lanes{} + static_cast<float>(__builtin_nan(""));
    store_vector(to, __builtin_convertvector(v, Halves));
  }
};
#else
template <int kLanes>
using F16 = Small<uint16_t, 10, 15, 0x7bff, true, false, kLanes>;
#endif

template <int kLanes>
using E4m3 = Small<uint8_t, 3, 7, 0x7e, false, true, kLanes>;
template <int kLanes>
using E5m2 = Small<uint8_t, 2, 15, 0x7b, true, true, kLanes>;
template <int kLanes>
using F32 = Native<float, kLanes>;
template <int kLanes>
using F64 = Native<double, kLanes>;
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

// lanes: vectors of kLanes elements in the instruction set this file is compiled for, and codes of 8 or 16 bits in them.
//
// Only for kernels.cc, which is compiled once for each instruction set. The linker keeps one copy of an inline function, and that could be
// the copy with AVX-512. So all names here have internal linkage, and no inline function of the standard library is used.
// Arithmetic is the compiler's own on vector types. Intrinsics are used only where gcc 12 would convert element by element. They are the
// zero-masking forms with a full mask, which costs nothing: gcc 12 warns of an uninitialized value inside the plain ones.
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>
#if defined(__x86_64__)
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

// A short vector as the low bytes of a long one, above it zeros; and the low bytes of a long one as a short one. By way of
// a word, because gcc 12 sends a memcpy of unequal sizes through memory, where it stalls.
template <size_t kBytes>
using Word =
    std::conditional_t<kBytes == 8, uint64_t,
                       std::conditional_t<kBytes == 4, uint32_t, std::conditional_t<kBytes == 2, uint16_t, uint8_t>>>;
template <typename To, typename From>
TUTTI_INLINE To resize(From from) {
  if constexpr (sizeof(From) == sizeof(To)) {
    return (To)from;
  } else if constexpr (sizeof(From) < sizeof(To)) {
    Vector<Word<sizeof(From)>, sizeof(To) / sizeof(From)> words{};
    words[0] = ((Vector<Word<sizeof(From)>, 1>)from)[0];
    return (To)words;
  } else {
    const Vector<Word<sizeof(To)>, 1> word{((Vector<Word<sizeof(To)>, sizeof(From) / sizeof(To)>)from)[0]};
    return (To)word;
  }
}

// kLanes codes, each widened to 32 bits.
template <typename Code, int kLanes>
TUTTI_INLINE Vector<uint32_t, kLanes> load_codes(const std::byte* from) {
  using Bits = Vector<uint32_t, kLanes>;
  constexpr bool kBytes = sizeof(Code) == 1;
  const auto codes = load_vector<Vector<Code, kLanes>>(from);
#if defined(__AVX512F__)
  if constexpr (kLanes == 16 && kBytes) return (Bits)_mm512_maskz_cvtepu8_epi32(0xffff, (__m128i)codes);
  if constexpr (kLanes == 16 && !kBytes) return (Bits)_mm512_maskz_cvtepu16_epi32(0xffff, (__m256i)codes);
#endif
#if defined(__AVX2__)
  if constexpr (kLanes == 8 && kBytes) return (Bits)_mm256_cvtepu8_epi32(resize<__m128i>(codes));
  if constexpr (kLanes == 8 && !kBytes) return (Bits)_mm256_cvtepu16_epi32((__m128i)codes);
#endif
#if defined(__SSE2__)
  if constexpr (kLanes == 4) {
    const __m128i zero = _mm_setzero_si128(), low = resize<__m128i>(codes);
    return (Bits)_mm_unpacklo_epi16(kBytes ? _mm_unpacklo_epi8(low, zero) : low, zero);
  }
#endif
  if constexpr (kBytes) {
    return __builtin_convertvector(__builtin_convertvector(codes, Vector<uint16_t, kLanes>), Bits);
  } else {
    return __builtin_convertvector(codes, Bits);
  }
}

// The low 8 or 16 bits of each lane; the others are zero.
template <typename Code, int kLanes>
TUTTI_INLINE void store_codes(std::byte* to, Vector<uint32_t, kLanes> codes) {
  using Packed = Vector<Code, kLanes>;
  constexpr bool kBytes = sizeof(Code) == 1;
#if defined(__AVX2__)
  if constexpr (kLanes == 16) {
#if defined(__AVX512F__)
    const __m256i halves = _mm512_maskz_cvtepi32_epi16(0xffff, (__m512i)codes);
    if constexpr (!kBytes) return store_vector(to, halves);
    return store_vector(to, _mm_packus_epi16(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1)));
#endif
  } else if constexpr (kLanes == 8) {
    const __m128i low = _mm256_castsi256_si128((__m256i)codes), high = _mm256_extracti128_si256((__m256i)codes, 1);
    const __m128i halves = _mm_packus_epi32(low, high);
    return store_vector(to, resize<Packed>(kBytes ? _mm_packus_epi16(halves, halves) : halves));
  }
#endif
#if defined(__SSE2__)
  if constexpr (kLanes == 4) {  // packs with signs: SSE2 has no other
    const __m128i extended = _mm_srai_epi32(_mm_slli_epi32((__m128i)codes, 16), 16);
    const __m128i halves = _mm_packs_epi32(extended, extended);
    return store_vector(to, resize<Packed>(kBytes ? _mm_packus_epi16(halves, halves) : halves));
  }
#endif
  if constexpr (kBytes) {
    store_vector(to, __builtin_convertvector(__builtin_convertvector(codes, Vector<uint16_t, kLanes>), Packed));
  } else {
    store_vector(to, __builtin_convertvector(codes, Packed));
  }
}

// kLanes bytes, each widened to 16 bits.
template <int kLanes>
TUTTI_INLINE Vector<uint16_t, kLanes> load_bytes(const std::byte* from) {
  using Halves = Vector<uint16_t, kLanes>;
  const auto bytes = load_vector<Vector<uint8_t, kLanes>>(from);
#if defined(__AVX2__)
  if constexpr (kLanes == 16) return (Halves)_mm256_cvtepu8_epi16((__m128i)bytes);
  if constexpr (kLanes == 4 || kLanes == 8) return resize<Halves>(_mm_cvtepu8_epi16(resize<__m128i>(bytes)));
#endif
  return __builtin_convertvector(bytes, Halves);
}

// fp16 to fp32 and back by the processor, where it can.
#if defined(__F16C__)
#define TUTTI_HALF 1
template <int kLanes>
TUTTI_INLINE Vector<float, kLanes> widen_halves(Vector<uint16_t, kLanes> halves) {
#if defined(__AVX512F__)
  if constexpr (kLanes == 16) return _mm512_maskz_cvtph_ps(0xffff, (__m256i)halves);
#endif
  if constexpr (kLanes == 8) return _mm256_cvtph_ps((__m128i)halves);
  if constexpr (kLanes <= 4) return resize<Vector<float, kLanes>>(_mm_cvtph_ps(resize<__m128i>(halves)));
}
template <int kLanes>
TUTTI_INLINE Vector<uint16_t, kLanes> narrow_halves(Vector<float, kLanes> v) {
  using Halves = Vector<uint16_t, kLanes>;
#if defined(__AVX512F__)
  if constexpr (kLanes == 16) return (Halves)_mm512_maskz_cvtps_ph(0xffff, v, _MM_FROUND_TO_NEAREST_INT);
#endif
  if constexpr (kLanes == 8) return (Halves)_mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);
  if constexpr (kLanes <= 4) return resize<Halves>(_mm_cvtps_ph(resize<__m128>(v), _MM_FROUND_TO_NEAREST_INT));
}
#elif defined(__aarch64__)
#define TUTTI_HALF 1
template <int kLanes>
TUTTI_INLINE Vector<float, kLanes> widen_halves(Vector<uint16_t, kLanes> halves) {
  return __builtin_convertvector((Vector<__fp16, kLanes>)halves, Vector<float, kLanes>);
}
template <int kLanes>
TUTTI_INLINE Vector<uint16_t, kLanes> narrow_halves(Vector<float, kLanes> v) {
  return (Vector<uint16_t, kLanes>)__builtin_convertvector(v, Vector<__fp16, kLanes>);
}
#else
#define TUTTI_HALF 0
#endif

}  // namespace
}  // namespace tutti

// The loops. Compiled once per instruction set with -DTUTTI_ISA=name; what leaves the file is one table, kernels_<name>.
//
// combine() makes one pass over memory. Two sources go straight to the destination. More go block by block through an
// accumulator in the first-level cache: a block of the destination is written only after that block of every source has
// been read, so the destination may be any of the sources. What ends a loop short of a full vector goes on with a quarter
// of the lanes, down to one.
#include "lib/dtype/kernels.h"

#include "lib/dtype/formats.h"

namespace tutti {
namespace {

constexpr size_t kBlockBytes = 8192;  // of the accumulator
// How far ahead a source's lines are prefetched. They may be in another core's cache, and loads alone keep too few of them on their way,
// above all for types that take many instructions a line (`perf/all_reduce_perf -d bfloat16 -b 16K -e 16K`: 7.3 us without, 4.8 with).
constexpr size_t kAheadBytes = 1024;

struct Sum {
  template <typename T, int kLanes>
  TUTTI_INLINE Vector<T, kLanes> apply(Vector<T, kLanes> a, Vector<T, kLanes> b) {
    if constexpr (std::is_floating_point_v<T>) {
      return a + b;
    } else {  // unsigned: wraps
      using Wrapping = Vector<std::make_unsigned_t<T>, kLanes>;
      return reinterpret_cast<Vector<T, kLanes>>(reinterpret_cast<Wrapping>(a) + reinterpret_cast<Wrapping>(b));
    }
  }
};

struct Prod {
  template <typename T, int kLanes>
  TUTTI_INLINE Vector<T, kLanes> apply(Vector<T, kLanes> a, Vector<T, kLanes> b) {
    if constexpr (std::is_floating_point_v<T>) {
      return a * b;
    } else {
      using Wrapping = Vector<std::make_unsigned_t<T>, kLanes>;
      return reinterpret_cast<Vector<T, kLanes>>(reinterpret_cast<Wrapping>(a) * reinterpret_cast<Wrapping>(b));
    }
  }
};

// Taken both ways round, equal values differ only if they are -0 and +0, which the bits then settle.
struct Max {
  template <typename T, int kLanes>
  TUTTI_INLINE Vector<T, kLanes> apply(Vector<T, kLanes> a, Vector<T, kLanes> b) {
    if constexpr (std::is_floating_point_v<T>) {
      using Bits = Vector<std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>, kLanes>;
      const Bits larger = reinterpret_cast<Bits>(a > b ? a : b) & reinterpret_cast<Bits>(b > a ? b : a);
      return ((a == a) & (b == b)) ? reinterpret_cast<Vector<T, kLanes>>(larger) : a + b;
    } else {
      return a > b ? a : b;
    }
  }
};

struct Min {
  template <typename T, int kLanes>
  TUTTI_INLINE Vector<T, kLanes> apply(Vector<T, kLanes> a, Vector<T, kLanes> b) {
    if constexpr (std::is_floating_point_v<T>) {
      using Bits = Vector<std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>, kLanes>;
      const Bits smaller = reinterpret_cast<Bits>(a < b ? a : b) | reinterpret_cast<Bits>(b < a ? b : a);
      return ((a == a) & (b == b)) ? reinterpret_cast<Vector<T, kLanes>>(smaller) : a + b;
    } else {
      return a < b ? a : b;
    }
  }
};

template <template <int> class Format>
constexpr int kFullLanes = kVectorBytes / static_cast<int>(sizeof(typename Format<1>::Value));
constexpr int fewer(int lanes) {
  return lanes > 4 ? lanes / 4 : 1;
}

// out[i] = left[i] op right[i].
template <template <int> class Out, template <int> class Left, template <int> class Right, class Op, int kLanes>
TUTTI_INLINE void pass_from(size_t i, std::byte* out, const std::byte* left, const std::byte* right, size_t count) {
  using Value = typename Right<1>::Value;
  constexpr size_t kAhead = kAheadBytes / Right<1>::kBytes;
  for (; i + kLanes <= count; i += kLanes) {
    if (i + kAhead < count) {
      __builtin_prefetch(left + (i + kAhead) * Left<1>::kBytes);
      __builtin_prefetch(right + (i + kAhead) * Right<1>::kBytes);
    }
    const auto a = Left<kLanes>::load(left + i * Left<1>::kBytes);
    const auto b = Right<kLanes>::load(right + i * Right<1>::kBytes);
    Out<kLanes>::store(out + i * Out<1>::kBytes, Op::template apply<Value, kLanes>(a, b));
  }
  if constexpr (kLanes > 1) pass_from<Out, Left, Right, Op, fewer(kLanes)>(i, out, left, right, count);
}
template <template <int> class Out, template <int> class Left, template <int> class Right, class Op>
void pass(std::byte* out, const std::byte* left, const std::byte* right, size_t count) {
  pass_from<Out, Left, Right, Op, kFullLanes<Right>>(0, out, left, right, count);
}

template <template <int> class Format, template <int> class Wide, class Op>
void combine(std::byte* dst, const std::byte* const* sources, size_t source_count, size_t count) {
  if (source_count == 2) return pass<Format, Format, Format, Op>(dst, sources[0], sources[1], count);
  constexpr size_t kBlock = kBlockBytes / Wide<1>::kBytes;
  alignas(64) std::byte sum[kBlockBytes];
  for (size_t done = 0; done < count; done += kBlock) {
    const size_t now = count - done < kBlock ? count - done : kBlock;
    const size_t at = done * Format<1>::kBytes;
    pass<Wide, Format, Format, Op>(sum, sources[0] + at, sources[1] + at, now);
    for (size_t k = 2; k + 1 < source_count; ++k) pass<Wide, Wide, Format, Op>(sum, sum, sources[k] + at, now);
    pass<Format, Wide, Format, Op>(dst + at, sum, sources[source_count - 1] + at, now);
  }
}

void stream(std::byte* dst, const std::byte* source, size_t bytes) {
#if defined(__x86_64__)
  constexpr size_t kLine = 64;
  const size_t misaligned = reinterpret_cast<uintptr_t>(dst) % kLine;
  const size_t head = misaligned == 0 ? 0 : kLine - misaligned;
  if (bytes >= head + kLine) {
    __builtin_memcpy(dst, source, head);
    size_t i = head;
    // Whole lines, so that none is half written when it leaves the core.
    for (; i + kLine <= bytes; i += kLine) {
#if defined(__AVX512F__)
      _mm512_stream_si512(reinterpret_cast<__m512i*>(dst + i), load_vector<__m512i>(source + i));
#else
      for (size_t part = 0; part < kLine; part += sizeof(__m128i))
        _mm_stream_si128(reinterpret_cast<__m128i*>(dst + i + part), load_vector<__m128i>(source + i + part));
#endif
    }
    dst += i;
    source += i;
    bytes -= i;
  }
#endif
  __builtin_memcpy(dst, source, bytes);
}

template <template <int> class Format, int kLanes>
TUTTI_INLINE void scale_from(size_t i, std::byte* dst, const std::byte* source, size_t count,
                             typename Format<1>::Value factor) {
  using Value = typename Format<1>::Value;
  const Vector<Value, kLanes> factors = factor - Vector<Value, kLanes>{};  // in all lanes; adding would lose -0
  for (; i + kLanes <= count; i += kLanes) {
    const auto v = Format<kLanes>::load(source + i * Format<1>::kBytes);
    Format<kLanes>::store(dst + i * Format<1>::kBytes, Prod::apply<Value, kLanes>(v, factors));
  }
  if constexpr (kLanes > 1) scale_from<Format, fewer(kLanes)>(i, dst, source, count, factor);
}
template <template <int> class Format>
void scale(std::byte* dst, const std::byte* source, size_t count, const Scale& factor) {
  using Value = typename Format<1>::Value;
  if constexpr (std::is_floating_point_v<Value>) {
    scale_from<Format, kFullLanes<Format>>(0, dst, source, count, static_cast<Value>(factor.real));
  } else {
    scale_from<Format, kFullLanes<Format>>(0, dst, source, count, static_cast<Value>(factor.integer));
  }
}

// Up to 32 bits a division in fp64 is exact after truncation: the quotient of two such integers is either whole or at
// least 2^-31 away from the next whole number, far more than fp64 rounds by.
template <typename T, int kLanes>
TUTTI_INLINE void divide_from(size_t i, std::byte* data, size_t count, int divisor) {
  const double by = divisor;
  for (; i + kLanes <= count; i += kLanes) {
    std::byte* at = data + i * sizeof(T);
    const auto whole = __builtin_convertvector((load_vector<Vector<T, kLanes>>(at)), Vector<int64_t, kLanes>);
    const auto quotient = __builtin_convertvector(whole, Vector<double, kLanes>) / by;
    store_vector(at, __builtin_convertvector(__builtin_convertvector(quotient, Vector<int64_t, kLanes>), Vector<T, kLanes>));
  }
  if constexpr (kLanes > 1) divide_from<T, fewer(kLanes)>(i, data, count, divisor);
}
template <typename T>
void divide(std::byte* data, size_t count, int divisor) {
  if constexpr (sizeof(T) < 8) return divide_from<T, kVectorBytes / 8>(0, data, count, divisor);
  for (size_t i = 0; i < count; ++i) {
    T value;
    __builtin_memcpy(&value, data + i * sizeof(T), sizeof(T));
    value /= static_cast<T>(divisor);
    __builtin_memcpy(data + i * sizeof(T), &value, sizeof(T));
  }
}

#define TUTTI_COMBINE(format, wide) \
  { combine<format, wide, Sum>, combine<format, wide, Prod>, combine<format, wide, Max>, combine<format, wide, Min> }
#define TUTTI_TEXT_OF(name) #name
#define TUTTI_TEXT(name) TUTTI_TEXT_OF(name)
#define TUTTI_JOIN_OF(a, b) a##b
#define TUTTI_JOIN(a, b) TUTTI_JOIN_OF(a, b)

}  // namespace

// In the order of Type: I8, U8, I32, U32, I64, U64, F16, F32, F64, BF16, F8E4M3, F8E5M2.
extern const Kernels TUTTI_JOIN(kernels_, TUTTI_ISA) = {
    TUTTI_TEXT(TUTTI_ISA),
    stream,
    {TUTTI_COMBINE(I8, I8), TUTTI_COMBINE(U8, U8), TUTTI_COMBINE(I32, I32), TUTTI_COMBINE(U32, U32), TUTTI_COMBINE(I64, I64),
     TUTTI_COMBINE(U64, U64), TUTTI_COMBINE(F16, F32Sum), TUTTI_COMBINE(F32, F32Sum), TUTTI_COMBINE(F64, F64Sum),
     TUTTI_COMBINE(Bf16, F32Sum), TUTTI_COMBINE(E4m3, F32Sum), TUTTI_COMBINE(E5m2, F32Sum)},
    {scale<I8>, scale<U8>, scale<I32>, scale<U32>, scale<I64>, scale<U64>, scale<F16>, scale<F32>, scale<F64>, scale<Bf16>,
     scale<E4m3>, scale<E5m2>},
    {divide<int8_t>, divide<uint8_t>, divide<int32_t>, divide<uint32_t>, divide<int64_t>, divide<uint64_t>, nullptr, nullptr,
     nullptr, nullptr, nullptr, nullptr},
};

}  // namespace tutti

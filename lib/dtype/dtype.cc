// The doors of dtype.h: what the types are called, and the choice of the kernels for this processor, made once.
#include "lib/dtype/dtype.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "lib/dtype/kernels.h"

namespace tutti {
namespace {

struct TypeRow {
  const char* name;
  uint8_t bytes;
  bool real;
};
constexpr TypeRow kTypeRows[kTypes] = {
    {"int8", 1, false},   {"uint8", 1, false},   {"int32", 4, false},     {"uint32", 4, false},
    {"int64", 8, false},  {"uint64", 8, false},  {"float16", 2, true},    {"float32", 4, true},
    {"float64", 8, true}, {"bfloat16", 2, true}, {"float8e4m3", 1, true}, {"float8e5m2", 1, true},
};
constexpr const char* kOpNames[kOps] = {"sum", "prod", "max", "min"};

const TypeRow& row_of(Type type) {
  assert(static_cast<int>(type) < kTypes);
  return kTypeRows[static_cast<int>(type)];
}

const Kernels& kernels() {
  static const Kernels& chosen = *supported_kernels().tables[0];
  return chosen;
}

}  // namespace

KernelChoice supported_kernels() {
  KernelChoice choice{};
#if defined(__x86_64__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  const bool f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
  const bool avx2 = f16c && __builtin_cpu_supports("avx2");
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    choice.tables[choice.count++] = &kernels_avx512;
  }
  if (avx2) choice.tables[choice.count++] = &kernels_avx2;
#endif
  choice.tables[choice.count++] = &kernels_baseline;
  return choice;
}

size_t size_of(Type type) {
  return row_of(type).bytes;
}
const char* name_of(Type type) {
  return row_of(type).name;
}
const char* name_of(Op op) {
  return kOpNames[static_cast<int>(op)];
}
bool is_float(Type type) {
  return row_of(type).real;
}
const char* kernel_isa() {
  return kernels().isa;
}

void combine(std::byte* dst, std::span<const std::byte* const> sources, size_t count, Type type, Op op) {
  assert(!sources.empty());
  if (count == 0) return;
  if (sources.size() == 1) {
    if (dst != sources[0]) std::memcpy(dst, sources[0], count * size_of(type));
    return;
  }
  kernels().combine[static_cast<int>(type)][static_cast<int>(op)](dst, sources.data(), sources.size(), count);
}

// Block by block through a buffer in the first-level cache, so that every kernel can write past the caches.
void combine_streaming(std::byte* dst, std::span<const std::byte* const> sources, size_t count, Type type, Op op) {
  constexpr size_t kBlockBytes = 4096, kMostSources = 64;
  const size_t bytes = size_of(type);
  if (sources.size() == 1) {
    if (dst != sources[0]) kernels().stream(dst, sources[0], count * bytes);
    return;
  }
  if (sources.size() > kMostSources) return combine(dst, sources, count, type, op);
  const CombineKernel kernel = kernels().combine[static_cast<int>(type)][static_cast<int>(op)];
  alignas(64) std::byte block[kBlockBytes];
  const std::byte* from[kMostSources];
  for (size_t done = 0; done < count; done += kBlockBytes / bytes) {
    const size_t now = std::min(kBlockBytes / bytes, count - done);
    for (size_t i = 0; i < sources.size(); ++i) from[i] = sources[i] + done * bytes;
    kernel(block, from, sources.size(), now);
    kernels().stream(dst + done * bytes, block, now * bytes);
  }
}

Scale scale_from(const void* scalar, Type type) {
  const auto* element = static_cast<const std::byte*>(scalar);
  Scale factor{};
  factor.type = type;
  if (is_float(type)) {
    factor.real = to_double(element, type);
  } else {
    factor.integer = 0;
    std::memcpy(&factor.integer, element, size_of(type));  // the low bytes: little-endian
  }
  return factor;
}

Scale scale_one_over(int ranks, Type type) {
  assert(ranks > 0 && is_float(type));
  std::byte rounded[8];
  from_double(rounded, type, 1.0 / ranks);
  return scale_from(rounded, type);
}

void scale(std::byte* dst, const std::byte* source, size_t count, const Scale& factor) {
  kernels().scale[static_cast<int>(factor.type)](dst, source, count, factor);
}

void divide(std::byte* data, size_t count, Type type, int divisor) {
  assert(divisor > 0 && !is_float(type));
  kernels().divide[static_cast<int>(type)](data, count, divisor);
}

}  // namespace tutti

// kernels: the door between dtype.cc and the loops in kernels.cc, which the build compiles once per instruction set.
//
// Every set has one table of the same functions, and all tables give the same bits on the same input: there is no fused
// multiply-add, every NaN that is computed is the type's one positive quiet NaN, and max/min order -0 below +0. So ranks on
// unlike processors agree. The tests compare the tables; everybody else calls dtype.h.
#pragma once
#include <cstddef>
#include <cstdint>

#include "lib/dtype/dtype.h"

namespace tutti {

inline constexpr int kOps = 4;

// sources: at least 2.
using CombineKernel = void (*)(std::byte* dst, const std::byte* const* sources, size_t source_count, size_t count);
// As memcpy, but past the caches: what is written is not read soon. A later release covers it only after a store fence.
using StreamKernel = void (*)(std::byte* dst, const std::byte* source, size_t bytes);
using ScaleKernel = void (*)(std::byte* dst, const std::byte* source, size_t count, const Scale& factor);
using DivideKernel = void (*)(std::byte* data, size_t count, int divisor);

struct Kernels {
  const char* isa;
  StreamKernel stream;
  CombineKernel combine[kTypes][kOps];
  ScaleKernel scale[kTypes];
  DivideKernel divide[kTypes];  // null for float types
};

extern const Kernels kernels_baseline;
#if defined(__x86_64__)
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
#endif

// Those that this processor can run, the fastest first.
struct KernelChoice {
  const Kernels* tables[3];
  int count;
};
KernelChoice supported_kernels();
const Kernels& best_kernels();

}  // namespace tutti

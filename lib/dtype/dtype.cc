// The doors of dtype.h: what the types are called, and the choice of the kernels for this processor, made once.
#include "lib/dtype/dtype.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <vector>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "lib/base/lines.h"
#include "lib/dtype/kernels.h"

namespace tutti {
namespace {

struct TypeRow {
  const char* name;
  bool real;
};
constexpr TypeRow kTypeRows[kTypes] = {{"int8", false},   {"uint8", false},   {"int32", false},     {"uint32", false},
                                       {"int64", false},  {"uint64", false},  {"float16", true},    {"float32", true},
                                       {"float64", true}, {"bfloat16", true}, {"float8e4m3", true}, {"float8e5m2", true}};
constexpr const char* kOpNames[kOps] = {"sum", "prod", "max", "min"};

const TypeRow& row_of(Type type) {
  assert(static_cast<int>(type) < kTypes);
  return kTypeRows[static_cast<int>(type)];
}

// Pointers that move along with the blocks; on the stack unless they are many.
struct SourceList {
  static constexpr size_t kFew = 32;
  explicit SourceList(std::span<const std::byte* const> sources) : count(sources.size()) {
    if (count > kFew) many.resize(count);
    pointers = count > kFew ? many.data() : few;
    std::copy(sources.begin(), sources.end(), pointers);
  }
  SourceList(const SourceList&) = delete;
  void advance(size_t bytes) {
    for (size_t i = 0; i < count; ++i) pointers[i] += bytes;
  }
  const size_t count;
  const std::byte** pointers;

 private:
  const std::byte* few[kFew];
  std::vector<const std::byte*> many;
};

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

const Kernels& best_kernels() {
  static const Kernels& chosen = *supported_kernels().tables[0];
  return chosen;
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
  return best_kernels().isa;
}

void combine(std::byte* dst, std::span<const std::byte* const> sources, size_t count, Type type, Op op) {
  assert(!sources.empty());
  if (count == 0) return;
  if (sources.size() == 1) {
    if (dst != sources[0]) std::memcpy(dst, sources[0], count * size_of(type));
    return;
  }
  best_kernels().combine[static_cast<int>(type)][static_cast<int>(op)](dst, sources.data(), sources.size(), count);
}

// Block by block, so that the places after the first are written from the first-level cache.
void combine(std::span<const Destination> to, std::span<const std::byte* const> sources, size_t count, Type type, Op op) {
  assert(!to.empty() && !sources.empty());
  if (to.size() == 1 && to[0].way == Way::Plain) return combine(to[0].at, sources, count, type, op);
  const size_t element = size_of(type);
  if (to.size() == 1 && sources.size() == 1) {
    if (to[0].at != sources[0]) write(to[0].at, sources[0], count * element, to[0].way);
    return;
  }
  constexpr size_t kBlockBytes = 4096, kStreamedBytes = 1024;
  alignas(64) std::byte buffer[kBlockBytes];
  const CombineKernel kernel = best_kernels().combine[static_cast<int>(type)][static_cast<int>(op)];
  // What nobody else reads first, then what the kernel can write through the caches.
  auto plain = std::find_if(to.begin(), to.end(), [](const Destination& d) { return d.way == Way::Plain; });
  if (plain == to.end()) plain = std::find_if(to.begin(), to.end(), [](const Destination& d) { return d.way != Way::Streamed; });
  // The first block is shorter, so that the others begin where a line of what is streamed begins.
  const auto streamed = std::find_if(to.begin(), to.end(), [](const Destination& d) { return d.way == Way::Streamed; });
  const size_t skew = streamed == to.end() ? 0 : reinterpret_cast<uintptr_t>(streamed->at) % 64 / element;
  // Short blocks where memory is the limit, so that reading and writing alternate closely.
  const size_t block = (streamed == to.end() ? kBlockBytes : kStreamedBytes) / element;
  SourceList from(sources);
  for (size_t done = 0, now; done < count; done += now) {
    now = std::min(done == 0 ? block - skew : block, count - done);
    const size_t at = done * element, bytes = now * element;
    const std::byte* result = from.pointers[0];
    const Destination* written = nullptr;  // by the kernel
    if (sources.size() > 1) {
      if (plain != to.end()) written = &*plain;
      std::byte* const first = written ? written->at + at : buffer;
      if (written && written->way != Way::Plain) take_lines(first, std::min(bytes, kLinesAheadBytes));
      kernel(first, from.pointers, sources.size(), now);
      result = first;
    }
    for (const Destination& destination : to)
      if (&destination != written && destination.at + at != result) write_piece(destination.at + at, result, bytes, destination.way);
    from.advance(bytes);
  }
  if (streamed != to.end()) end_pieces();
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
  best_kernels().scale[static_cast<int>(factor.type)](dst, source, count, factor);
}

void divide(std::byte* data, size_t count, Type type, int divisor) {
  assert(divisor > 0 && !is_float(type));
  best_kernels().divide[static_cast<int>(type)](data, count, divisor);
}

}  // namespace tutti

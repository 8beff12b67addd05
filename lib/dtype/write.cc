// write: see write.h.
#include "lib/dtype/write.h"

#include <algorithm>
#include <cstring>

#include "lib/base/lines.h"
#include "lib/dtype/kernels.h"
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace tutti {
namespace {

constexpr size_t kLeastStrings = 4096;  // shorter ones do not pay for its start

void write_ahead(std::byte* to, const std::byte* from, size_t bytes) {
  take_lines(to, std::min(bytes, kLinesAheadBytes));
  for (; bytes > kLinesAheadBytes; bytes -= kLinesAheadBytes) {
    take_lines(to + kLinesAheadBytes, std::min(bytes - kLinesAheadBytes, kLinesAheadBytes));
    std::memcpy(to, from, kLinesAheadBytes);
    to += kLinesAheadBytes;
    from += kLinesAheadBytes;
  }
  std::memcpy(to, from, bytes);
}

bool has_fast_strings() {
#if defined(__x86_64__)
  constexpr unsigned kErms = 1u << 9;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx & kErms) != 0;
#else
  return false;
#endif
}

}  // namespace

const char* name_of(Way way) {
  constexpr const char* kNames[] = {"plain", "ahead", "strings", "streamed"};
  return kNames[static_cast<int>(way)];
}

void end_pieces() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

void write(std::byte* to, const std::byte* from, size_t bytes, Way way) {
  write_piece(to, from, bytes, way);
  if (way == Way::Streamed) end_pieces();
}

void write_piece(std::byte* to, const std::byte* from, size_t bytes, Way way) {
#if defined(__x86_64__)
  if (way == Way::Strings) {
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes)::"memory");
    return;
  }
  if (way == Way::Streamed) return best_kernels().stream(to, from, bytes);
#endif
  if (way == Way::Plain) return static_cast<void>(std::memcpy(to, from, bytes));
  write_ahead(to, from, bytes);
}

Way shared_way(size_t bytes) {
  static const bool fast_strings = has_fast_strings();
  return fast_strings && bytes >= kLeastStrings ? Way::Strings : Way::Ahead;
}

}  // namespace tutti

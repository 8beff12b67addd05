// target: what the fuzz targets share. A target is a function that takes any bytes and must not crash, hang or use much memory.
//
// With clang and -Dfuzz=enabled, libFuzzer calls the target with inputs that it makes (tests/fuzz/run.sh). In all other builds replay.cc calls
// it with the inputs in tests/fuzz/corpus: a failure that was found once is tested for ever.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace tutti::fuzz {

inline std::string string_of(const uint8_t* data, size_t size) { return std::string(reinterpret_cast<const char*>(data), size); }

// Aborts unless the condition holds.
inline void demand(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "not true: %s\n", what);
  std::abort();
}

// Reads an input from front to back. Behind its end it reads zero or empty.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}
  bool empty() const { return rest_.empty(); }
  uint8_t byte() {
    const std::string_view taken = take(1);
    return taken.empty() ? 0 : static_cast<uint8_t>(taken[0]);
  }
  uint16_t two_bytes() {
    const uint16_t low = byte();
    return static_cast<uint16_t>(low | byte() << 8);
  }
  std::string_view take(size_t bytes) {
    const std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  // Takes the text up to the separator, and drops the separator. Without one it takes all.
  std::string_view up_to(char separator) {
    const std::string_view taken = take(std::min(rest_.find(separator), rest_.size()));
    take(1);
    return taken;
  }
  std::string_view rest() { return take(rest_.size()); }

 private:
  std::string_view rest_;
};

}  // namespace tutti::fuzz

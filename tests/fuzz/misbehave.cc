// misbehave: a target that breaks the rules, to test that the replay notices. The input is crash, spin or eat.
#include "tests/fuzz/target.h"

using namespace tutti::fuzz;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string deed = string_of(data, size);
  demand(deed != "crash", "the input is not crash");
  for (volatile bool going = deed == "spin"; going;) continue;
  if (deed == "eat") {
    constexpr size_t kBytes = size_t{800} << 20;
    volatile char* const memory = static_cast<volatile char*>(std::malloc(kBytes));
    demand(memory != nullptr, "memory can be allocated");
    for (size_t i = 0; i < kBytes; i += 4096) memory[i] = 1;
    std::free(const_cast<char*>(memory));
  }
  return 0;
}

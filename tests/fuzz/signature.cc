// signature: the signature of a message, printed as a call.
#include <cstring>

#include "lib/comm/call.h"
#include "tests/fuzz/target.h"

using namespace tutti;
using namespace tutti::fuzz;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  uint64_t signature = 0;
  if (size > 0) std::memcpy(&signature, data, std::min(size, sizeof signature));
  const std::string text = describe(signature);
  demand(!text.empty() && text.size() < 100, "the text of a call has 1 to 99 bytes");
  return 0;
}

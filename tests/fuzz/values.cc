// values: values of single settings. The first byte chooses: s a size; a TUTTI_ALGO; f TUTTI_FAULT; i the name of an interface and, in the
// next line, a filter of interfaces.
#include "lib/base/interface.h"
#include "lib/base/settings.h"
#include "lib/comm/plans.h"
#include "lib/transport/faulty.h"
#include "tests/fuzz/target.h"

using namespace tutti;
using namespace tutti::fuzz;

namespace {

void check_size(const std::string& text) {
  const Result<uint64_t> bytes = parse_bytes(text);
  if (!bytes.ok()) return;
  demand(bytes.value() <= 1'000'000'000'000'000'000, "a size is at most 1e18 bytes");
  demand(text.find('\0') == std::string::npos, "a size contains no zero byte");
  demand(parse_bytes(std::to_string(bytes.value())).value() == bytes.value(), "a size that is written and read is the same");
}

void check_algorithms(const std::string& text) {
  const Result<ForcedAlgorithms> forced = ForcedAlgorithms::parse(text);
  if (!forced.ok()) return;
  for (int c = 0; c < kCollectives; ++c) {
    const Collective collective = static_cast<Collective>(c);
    demand(!forced.value().strict(collective) || !forced.value().name(collective).empty(), "an algorithm that must be used has a name");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  switch (input.byte()) {
    case 's': check_size(std::string(input.rest())); break;
    case 'a': check_algorithms(std::string(input.rest())); break;
    case 'f': (void)check_faults(std::string(input.rest())); break;
    case 'i': {
      const std::string name(input.up_to('\n')), filter(input.rest());
      const bool inverse = !filter.empty() && filter[0] == '^';
      if (!filter.empty() && filter.find('^', 1) == std::string::npos)
        demand(admitted(name, filter) != admitted(name, inverse ? filter.substr(1) : "^" + filter), "^ admits all others");
      break;
    }
    default: break;
  }
  return 0;
}

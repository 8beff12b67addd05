// explain: why an algorithm is chosen: what its price is made of, beside the others'.
//
// Prices are closed forms that know no parts. The parts come of asking again: for no bytes, and on links without latency or
// without end of bandwidth.
#pragma once
#include <string>

#include "lib/base/status.h"
#include "lib/sched/select.h"

namespace tutti {

struct PriceParts {
  double total, latency, messages, wire, work;  // seconds; work: adding up and copying what arrives
  std::string slowest;                          // the level that the wire's part is for
};
PriceParts parts_of(const Algorithm& algorithm, const Problem& problem, size_t bytes);

// The choice as the library makes it, TUTTI_ALGO included, as text. size: as the user wrote it.
Result<std::string> explain(const Problem& problem, const std::string& size, size_t bytes);
// That choice alone, for what else wants it.
Result<const Algorithm*> choose(const Problem& problem, size_t bytes, bool& forced);

}  // namespace tutti

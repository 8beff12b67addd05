// clocks: see clocks.h.
#include "lib/comm/clocks.h"

#include <algorithm>

namespace tutti {

void ClockComparison::add(int64_t sent_ns, int64_t come_ns, int64_t theirs_ns) {
  least_ = std::max(least_.value_or(theirs_ns - come_ns), theirs_ns - come_ns);
  if (sent_before_) most_ = std::min(most_.value_or(theirs_ns - *sent_before_), theirs_ns - *sent_before_);
  sent_before_ = sent_ns;
}

ClockOffset ClockComparison::result() const {
  if (!least_ || !most_) return {};
  const int64_t width = std::max<int64_t>(*most_ - *least_, 0);
  return {*least_ + width / 2, width - width / 2};
}

}  // namespace tutti

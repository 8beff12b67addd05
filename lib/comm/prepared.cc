// prepared: see prepared.h. How a call is made ready is in prepare.cc.
#include "lib/comm/prepared.h"

#include <algorithm>

#include "lib/topo/machine.h"

namespace tutti {

PreparedCalls::PreparedCalls(const CommOptions& options, const Settings& settings, const Links& links, const Ops& ops)
    : options_(options),
      settings_(settings),
      links_(links),
      ops_(ops),
      tile_bytes_(settings.number(Setting::Tile)),
      cache_bytes_(settings.number(Setting::Cache) > 0 ? settings.number(Setting::Cache) : last_cache_bytes()),
      last_(&add()) {}

Status PreparedCalls::open() {
  Result<ForcedAlgorithms> forced = ForcedAlgorithms::parse(settings_.text(Setting::Algo));
  if (!forced.ok()) return forced.status();
  plans_ = std::make_unique<Plans>(options_.rank, links_.topology, links_.routes, std::move(forced.value()), tile_bytes_);
  return settings_.about(Setting::Algo, plans_->check_forced());
}

PreparedCall& PreparedCalls::add() {
  PreparedCall& call = calls_.emplace_back();
  call.next = &call;
  return call;
}

// A call of those before, once more; else what has not run for the longest time gives way, and first what cannot be repeated.
PreparedCall* PreparedCalls::find(const Call& call, size_t running, Status& failure) {
  PreparedCall* oldest = nullptr;
  const auto since = [](const PreparedCall& one) { return one.repeatable ? one.started : 0; };
  for (size_t i = 0; i < std::min(kKept, calls_.size()); ++i) {
    PreparedCall& one = calls_[i];
    if (one.runs) continue;
    if (one.repeats(call, mapped_)) return &one;
    if (!oldest || since(one) < since(*oldest)) oldest = &one;
  }
  const bool fewer = calls_.size() < kKept && (!oldest || oldest->repeatable);
  if (fewer || running == calls_.size()) oldest = &add();
  while (!oldest) {  // one of the others does not run
    if (next_ >= calls_.size()) next_ = kKept;
    PreparedCall& one = calls_[next_++];
    if (!one.runs) oldest = &one;
  }
  failure = prepare(call, *oldest);
  return failure.ok() ? oldest : nullptr;
}

}  // namespace tutti

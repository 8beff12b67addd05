// regions: see regions.h.
#include "lib/comm/regions.h"

#include <algorithm>

namespace tutti {

void Regions::open(std::span<const std::unique_ptr<Transport>> transports) {
  std::lock_guard lock(mutex_);
  transports_ = transports;
  for (const auto& transport : transports_)
    for (const Region& region : regions_) transport->expose(region.memory);
}

uint64_t Regions::add(std::span<std::byte> memory) {
  std::lock_guard lock(mutex_);
  regions_.push_back({++last_, memory});
  for (const auto& transport : transports_) transport->expose(memory);
  return last_;
}

bool Regions::remove(uint64_t number) {
  std::lock_guard lock(mutex_);
  const auto found = std::find_if(regions_.begin(), regions_.end(), [&](const Region& region) { return region.number == number; });
  if (found == regions_.end()) return false;
  for (const auto& transport : transports_) transport->withdraw(found->memory);
  regions_.erase(found);
  return true;
}

}  // namespace tutti

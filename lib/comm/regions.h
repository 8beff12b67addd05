// regions: memory that users have registered with a communicator. Its transports are told of it.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "lib/transport/transport.h"

namespace tutti {

// Any thread.
class Regions {
 public:
  // The transports are there, and hear of all regions so far. They outlive the use of this object.
  void open(std::span<const std::unique_ptr<Transport>> transports);
  // Tells the transports. Returns a number that is never 0 and never used again.
  uint64_t add(std::span<std::byte> memory);
  // False: there is no such region.
  bool remove(uint64_t number);

 private:
  struct Region {
    uint64_t number;
    std::span<std::byte> memory;
  };
  std::mutex mutex_;  // guards all below
  std::span<const std::unique_ptr<Transport>> transports_;
  std::vector<Region> regions_;
  uint64_t last_ = 0;
};

}  // namespace tutti

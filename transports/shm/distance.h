// distance: how dear it is to write lines that a peer has read, and so which way to write them.
//
// Writing through the caches takes the lines back from the reader's. Writing past them leaves them in memory, from where the reader fetches them:
// the same time wherever the reader is. So from some distance on the second is faster. Two cores of one last-level cache are near, two sockets
// are far; a virtual machine's processors move about, and change between both within minutes. So a rank times some of its messages, for
// each peer, as long as it runs. `kernel_bench --writes` on an AMD EPYC with two virtual processors, 64 KiB, written through the caches and then
// read: 3.5 + 1.9 us when near, 11.9 + 6.0 us when far; past the caches 2.9 + 4.6 us and 2.7 + 5.1 us.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "lib/dtype/write.h"

namespace tutti::shm {

class Distance {
 public:
  // `fixed`: the way for all messages. None: the fastest, found out by measuring.
  explicit Distance(std::optional<Way> fixed = Way::Ahead);
  Way way(size_t bytes) const {
    if (bytes < kLeast) return Way::Ahead;
    if (far_ns_per_kib_ == 0) return fixed_;
    return far_ ? Way::Streamed : shared_way(bytes);
  }
  // Whether the next message of so many bytes should be written by shared_way(), and timed.
  bool due(size_t bytes) {
    return bytes >= kLeast && far_ns_per_kib_ > 0 && --until_due_ == 0;
  }
  void took(size_t bytes, int64_t ns);
  bool far() const { return far_; }

 private:
  static constexpr size_t kLeast = 2048;  // shorter messages are as fast the other way
  static constexpr uint32_t kFirst = 8;   // messages until the memory has been used before
  static constexpr uint32_t kOften = 2;   // while little is known
  static constexpr uint32_t kSeldom = 32;

  Way fixed_;
  double far_ns_per_kib_ = 0;  // from which cost on it is better to write past the caches; 0: fixed
  bool far_ = false;
  uint32_t until_due_ = kFirst, known_ = 0;
  std::array<double, 3> last_{};  // ns per KiB
};

}  // namespace tutti::shm

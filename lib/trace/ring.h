// ring: a queue of fixed size between two threads. One puts in, one takes out, neither waits.
//
// The producer writes an entry, then put_ (release). The consumer reads put_ (acquire), then the entries, then writes taken_ (release). The
// producer reads taken_ (acquire) before it uses a place again. The producer may be another thread later, if the two have synchronized.
#pragma once
#include <atomic>
#include <cstddef>
#include <vector>

namespace tutti {

template <typename T>
class Ring {
 public:
  // size: a power of two.
  explicit Ring(size_t size) : entries_(size) {}

  // False: it is full.
  bool put(const T& entry) {
    const size_t put = put_.load(std::memory_order_relaxed);
    if (put - taken_.load(std::memory_order_acquire) == entries_.size()) return false;
    entries_[put % entries_.size()] = entry;
    put_.store(put + 1, std::memory_order_release);
    return true;
  }
  // Calls visit(entry) for all that are there, in order.
  template <typename Visit>
  void take(Visit visit) {
    const size_t put = put_.load(std::memory_order_acquire);
    for (size_t taken = taken_.load(std::memory_order_relaxed); taken != put;) {
      visit(entries_[taken % entries_.size()]);
      taken_.store(++taken, std::memory_order_release);
    }
  }

 private:
  std::vector<T> entries_;
  std::atomic<size_t> put_{0};
  alignas(64) std::atomic<size_t> taken_{0};
};

}  // namespace tutti

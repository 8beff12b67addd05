// tables: the handles of this process's communicators and streams, and guards that keep one for the time of a call.
#pragma once
#include "lib/api/front/front.h"
#include "lib/api/front/handles.h"
#include "lib/comm/stream.h"

namespace tutti::front {

// A table that the first call makes.
template <typename Object, uint32_t kSlots>
class LazyTable {
 public:
  using Table = HandleTable<Object, kSlots>;
  constexpr LazyTable() = default;
  Table& operator()() {
    Table* table = table_.load(std::memory_order_acquire);
    return table ? *table : make();
  }

 private:
  [[gnu::cold, gnu::noinline]] Table& make() {
    static Table* const table = Table::make();
    table_.store(table, std::memory_order_release);
    return *table;
  }
  std::atomic<Table*> table_{nullptr};
};
inline constexpr uint32_t kMostComms = 16384, kMostStreams = 4096;
extern LazyTable<Comm, kMostComms> comm_table;
extern LazyTable<Stream, kMostStreams> stream_table;

inline uintptr_t number_of(CommHandle handle) { return static_cast<uintptr_t>(handle); }
inline uintptr_t number_of(StreamHandle handle) { return static_cast<uintptr_t>(handle); }
void write_handle(HandleOut out, uintptr_t handle);

// A communicator or stream for the time of one call.
template <auto& table>
class Guard {
  using Slot = typename std::remove_reference_t<decltype(table())>::Slot;

 public:
  template <typename Handle>
  explicit Guard(Handle handle) : slot_(table().acquire(number_of(handle))) {}
  ~Guard() {
    if (slot_) table().release(*slot_);
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  explicit operator bool() const { return slot_ != nullptr; }
  auto* get() const { return slot_ ? slot_->object() : nullptr; }
  auto* operator->() const { return slot_->object(); }

 private:
  Slot* const slot_;
};
using CommGuard = Guard<comm_table>;
using StreamGuard = Guard<stream_table>;

// The same for the calls that only one thread at a time may make on a communicator.
class CallGuard {
 public:
  explicit CallGuard(CommHandle handle) : slot_(comm_table().enter(number_of(handle))) {}
  ~CallGuard() {
    if (slot_) Table::leave(*slot_);
  }
  CallGuard(const CallGuard&) = delete;
  CallGuard& operator=(const CallGuard&) = delete;
  explicit operator bool() const { return slot_ != nullptr; }
  Comm* operator->() const { return slot_->object(); }
  Comm& operator*() const { return *slot_->object(); }

 private:
  using Table = LazyTable<Comm, kMostComms>::Table;
  Table::Slot* const slot_;
};

}  // namespace tutti::front

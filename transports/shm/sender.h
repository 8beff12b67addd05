// sender: the lanes to and from a peer, and what this rank's messages hold until they have been read.
#pragma once
#include <utility>
#include <vector>

#include "lib/base/memory.h"
#include "transports/shm/arena.h"
#include "transports/shm/distance.h"

namespace tutti::shm {

// The sender's slots of one size. Each slot counts the cells that refer to it; only the owner touches these counts.
class SlotPool {
 public:
  void open(size_t first_offset, size_t slot_bytes, uint32_t slots);
  bool empty() const { return free_.empty(); }
  size_t used() const { return references_.size() - free_.size(); }
  // The last but one that was freed, so that a single message at a time goes through two slots by turns: what has been read a moment
  // ago is slow to take back from its reader. An exchange of 64 KiB through one slot takes 1.2 to 1.4 times as long
  // (`build/perf/sendrecv_perf -p 2 -b 64K -e 64K -n 50 -c 0`).
  uint32_t take() {
    if (free_.size() > 1) std::swap(free_.back(), free_[free_.size() - 2]);
    const uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  void refer(uint32_t slot) { ++references_[slot]; }
  void drop(uint32_t slot) {
    if (--references_[slot] == 0) free_.push_back(slot);
  }
  uint64_t offset(uint32_t slot) const { return first_offset_ + slot * slot_bytes_; }

 private:
  size_t first_offset_ = 0, slot_bytes_ = 0;
  std::vector<uint32_t> references_, free_;  // capacity is reserved: no allocation later
};

// One lane, both directions.
struct Lane {
  Cell* out;  // in this rank's arena
  Acks* out_acks;
  Offers* out_offers;
  Cell* in;  // in the peer's
  Acks* in_acks;
  Offers* in_offers;

  // What my message in a cell holds until it has been read: a slot (index * 2 + (1 if large)), or memory read in place.
  struct Held {
    int32_t slot = -1;
    uint32_t message = 0;
    Outgoing* reference = nullptr;
    bool empty() const { return slot < 0 && !reference; }
  };
  Cell& out_cell(uint32_t message) const { return out[cell_of(message)]; }
  Cell& in_cell(uint32_t message) const { return in[cell_of(message)]; }

  Held held[kCells];
  uint32_t holds = 0;            // that are not empty
  uint32_t first_held = 0;       // no message before it holds anything
  uint32_t free_line = UINT32_MAX;  // messages number / kAcksPerLine whose cells are all free, or have been filled since
  uint32_t released[kCells] = {};  // my copy of out_acks, refreshed when it says that a cell is busy
  Incoming* offered[kCells] = {};  // the messages for which this rank made an offer
  uint64_t taken[kCells] = {};     // by cell: the last message read from the peer's memory, plus 1; 0: none
  bool used = false;               // this rank has sent something on the lane
  bool answered = false;           // this rank has sent something since it last received
};

// What the endpoints of a rank share. References and offers are for messages from kLeastDirect bytes on, where an atomic exchange
// between cores is little (`build/perf/sendrecv_perf -p 2 -R 1 -b 8K -e 8K -n 30 -c 0`: 2.5 us through a slot, 0.9 in place; a broadcast of 4 KiB
// is the slower in place).
inline constexpr size_t kLeastDirect = 8192;
struct Sender {
  Arena* arena = nullptr;
  HeapFile heap;
  SlotPool pools[2];            // small, large
  std::vector<Lane*> holding;   // lanes with holds > 0
  uint32_t references = 0;      // held by all lanes together

  // Takes a slot and fills it. `distance` of the first reader. False: none is free now.
  bool stage(Outgoing& outgoing, Distance& distance);
  // Takes back what has been read by all.
  void reap();
  void hold(Lane& lane, uint32_t message, int32_t slot, Outgoing* reference);
  void let_go(Lane& lane, uint32_t cell);
  void drop(int32_t slot) { pools[slot & 1].drop(static_cast<uint32_t>(slot) >> 1); }
  bool in_heap(const std::byte* data) const {
    return heap.base && data >= heap.base && data < heap.base + heap.bytes && heap_is_shared();
  }
};

}  // namespace tutti::shm

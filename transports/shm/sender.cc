// sender: see sender.h.
#include "transports/shm/sender.h"

#include <cassert>

#include "lib/base/clock.h"

namespace tutti::shm {
namespace {

constexpr size_t kWarmSlots = 16;  // small slots in use, from which on one looks which have been read

}  // namespace

void SlotPool::open(size_t first_offset, size_t slot_bytes, uint32_t slots) {
  first_offset_ = first_offset;
  slot_bytes_ = slot_bytes;
  references_.assign(slots, 0);
  free_.resize(slots);
  for (uint32_t i = 0; i < slots; ++i) free_[i] = slots - 1 - i;
}

bool Sender::stage(Outgoing& outgoing, Distance& distance) {
  const int size = outgoing.bytes > kSmallSlotBytes;
  // What has been read is soon used again, so that few slots are, and they stay in the caches.
  if (size == 1 || pools[size].used() >= kWarmSlots) reap();
  if (pools[size].empty()) return false;
  const uint32_t slot = pools[size].take();
  std::byte* to = arena->at(pools[size].offset(slot));
  // A slot was last in its readers' caches.
  const Way way = distance.way(outgoing.bytes);
  if (outgoing.contiguous && distance.due(outgoing.bytes)) {
    const int64_t begin = now_ns();
    write(to, outgoing.contiguous, outgoing.bytes, shared_way(outgoing.bytes));
    distance.took(outgoing.bytes, now_ns() - begin);
  } else if (outgoing.contiguous) {
    write(to, outgoing.contiguous, outgoing.bytes, way);
  } else {
    outgoing.pack(outgoing, {to, way});
  }
  pools[size].refer(slot);  // the caller's own reference, dropped with the last post
  outgoing.handle = (uint64_t{slot} << 1 | static_cast<uint64_t>(size)) + 1;
  return true;
}

void Sender::hold(Lane& lane, uint32_t message, int32_t slot, Outgoing* reference) {
  assert(lane.held[message % kCells].empty());
  lane.held[message % kCells] = {slot, message, reference};
  if (reference) {
    ++reference->outstanding;
    ++references;
  } else {
    pools[slot & 1].refer(static_cast<uint32_t>(slot) >> 1);
  }
  // Messages may be posted in any order.
  if (lane.holds == 0 || static_cast<int32_t>(message - lane.first_held) < 0) lane.first_held = message;
  if (lane.holds++ == 0) holding.push_back(&lane);
}

void Sender::let_go(Lane& lane, uint32_t cell) {
  Lane::Held& held = lane.held[cell];
  if (held.reference) {
    --held.reference->outstanding;
    --references;
  } else {
    drop(held.slot);
  }
  held = {};
  if (--lane.holds == 0) std::erase(holding, &lane);
}

void Sender::reap() {
  for (size_t i = holding.size(); i-- > 0;) {  // from the back: let_go() may erase
    Lane& lane = *holding[i];
    uint32_t first = lane.first_held, message = first;
    for (uint32_t left = lane.holds; left > 0; ++message) {
      const uint32_t cell = message % kCells;
      if (lane.held[cell].empty()) {
        if (message == first) ++first;
        continue;
      }
      --left;
      const uint32_t released = lane.out_acks->released[cell].load(std::memory_order_acquire);
      if (released == lane.released[cell]) continue;
      lane.released[cell] = released;
      let_go(lane, cell);
      if (message == first) ++first;
    }
    lane.first_held = first;
  }
}

}  // namespace tutti::shm

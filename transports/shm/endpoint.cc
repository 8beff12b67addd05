// endpoint: see endpoint.h, and arena.h for who writes what.
#include "transports/shm/endpoint.h"

#include <sched.h>

#include <algorithm>
#include <cstring>

namespace tutti::shm {

void SlotPool::open(size_t first_offset, size_t slot_bytes, uint32_t slots) {
  first_offset_ = first_offset;
  slot_bytes_ = slot_bytes;
  references_.assign(slots, 0);
  free_.resize(slots);
  for (uint32_t i = 0; i < slots; ++i) free_[i] = slots - 1 - i;
}

bool Sender::stage(Outgoing& outgoing) {
  const int size = outgoing.bytes > kSmallSlotBytes;
  // Large slots: look at once what has been read, to write again where the cache is warm. Small ones: when none is left.
  if (size == 1 || pools[size].empty()) reap();
  if (pools[size].empty()) return false;
  const uint32_t slot = pools[size].take();
  std::byte* to = arena->at(pools[size].offset(slot));
  if (outgoing.contiguous) {
    std::memcpy(to, outgoing.contiguous, outgoing.bytes);
  } else {
    outgoing.pack(outgoing, to);
  }
  pools[size].refer(slot);  // the caller's own reference, dropped with the last post
  outgoing.handle = (uint64_t{slot} << 1 | static_cast<uint64_t>(size)) + 1;
  return true;
}

void Sender::hold(Lane& lane, uint32_t message, int32_t slot, Outgoing* reference) {
  lane.held[message % kCells] = {slot, message, reference};
  if (reference) {
    ++reference->outstanding;
    ++references;
  } else {
    pools[slot & 1].refer(static_cast<uint32_t>(slot) >> 1);
  }
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
    for (uint32_t cell = 0; cell < kCells && lane.holds > 0; ++cell) {
      if (lane.held[cell].empty()) continue;
      const uint32_t released = lane.out_acks->released[cell].load(std::memory_order_acquire);
      if (released == lane.released[cell]) continue;
      lane.released[cell] = released;
      let_go(lane, cell);
    }
  }
}

void ShmEndpoint::open(Sender& sender, Arena& peer_arena, std::byte* peer_heap, int rank, int peer) {
  sender_ = &sender;
  peer_ = &peer_arena;
  peer_heap_ = peer_heap;
  peer_maps_ = &sender.arena->maps_heap(static_cast<uint32_t>(peer));
  if (peer_heap) peer_arena.maps_heap(static_cast<uint32_t>(rank)).store(1, std::memory_order_release);
  for (uint8_t lane = 0; lane < kLanes; ++lane) {
    Lane& entry = lanes_[lane];
    entry.out = sender.arena->cells(lane, static_cast<uint32_t>(peer));
    entry.out_acks = &sender.arena->acks(lane, static_cast<uint32_t>(peer));
    entry.out_offers = &sender.arena->offers(lane, static_cast<uint32_t>(peer));
    entry.in = peer_arena.cells(lane, static_cast<uint32_t>(rank));
    entry.in_acks = &peer_arena.acks(lane, static_cast<uint32_t>(rank));
    entry.in_offers = &peer_arena.offers(lane, static_cast<uint32_t>(rank));
  }
}

// Looks at all acks of a lane, which lie side by side.
void ShmEndpoint::learn(Lane& lane) {
  for (uint32_t i = 0; i < kCells; ++i) {
    const uint32_t released = lane.out_acks->released[i].load(std::memory_order_acquire);
    if (released != lane.released[i] && !lane.held[i].empty()) sender_->let_go(lane, i);
    lane.released[i] = released;
  }
}

// Whether the cell of message `number` is free: message number - 64 has been read.
bool ShmEndpoint::writable(Lane& lane, uint32_t number) {
  const uint32_t cell = number % kCells;
  if (lane.released[cell] == number - cell && lane.held[cell].empty()) [[likely]]
    return true;
  learn(lane);
  return lane.released[cell] == number - cell;
}

// Whether a large slot may be taken for message `number`: message number - 16 has been read.
bool ShmEndpoint::large_writable(Lane& lane, uint32_t number) {
  const uint32_t before = number - kLargeWindow, cell = before % kCells;
  if (lane.released[cell] == ack_of(before)) return true;
  learn(lane);
  return lane.released[cell] == ack_of(before);
}

void ShmEndpoint::publish(Cell& cell, const Wire& wire, size_t bytes) {
  cell.length = static_cast<uint32_t>(bytes);
  cell.signature = wire.signature;
  // Pairs with receive(). Covers cell, slot, heap, and what was written where the peer wanted it.
  cell.stamp.store(wire.number + 1, std::memory_order_release);
  ring(peer_->header().doorbell);
}

void ShmEndpoint::count_post(Outgoing& outgoing) {
  if (--outgoing.posts_left == 0 && outgoing.handle != 0) sender_->drop(static_cast<int32_t>(outgoing.handle - 1));
}

// Memory in the heap is read by the peer where it is, unless a copy has been made for another reader already.
bool ShmEndpoint::may_refer(const Outgoing& outgoing) const {
  return outgoing.bytes >= kLeastDirect && outgoing.contiguous && outgoing.handle == 0 &&
         sender_->in_heap(outgoing.contiguous) && peer_maps_->load(std::memory_order_relaxed) != 0;
}

Progress ShmEndpoint::post(Outgoing& outgoing, const Wire& wire) {
  Lane& lane = lanes_[wire.channel];
  if (!writable(lane, wire.number)) return Progress::Again;
  Cell& cell = lane.out[wire.number % kCells];
  if (outgoing.bytes <= kInlineBytes) {
    if (outgoing.contiguous) {
      std::memcpy(cell.payload, outgoing.contiguous, outgoing.bytes);
    } else if (outgoing.bytes > 0) {
      outgoing.pack(outgoing, cell.payload);
    }
  } else if (may_refer(outgoing)) {
    cell.elsewhere.offset = static_cast<uint64_t>(outgoing.contiguous - sender_->heap.base);
    cell.elsewhere.where = Where::Heap;
    cell.elsewhere.lease.give(wire.number);
    sender_->hold(lane, wire.number, -1, &outgoing);
  } else {
    if (outgoing.bytes > kSmallSlotBytes && !large_writable(lane, wire.number)) return Progress::Again;
    if (outgoing.handle == 0 && !sender_->stage(outgoing)) return Progress::Again;
    const int32_t slot = static_cast<int32_t>(outgoing.handle - 1);
    cell.elsewhere.offset = sender_->pools[slot & 1].offset(static_cast<uint32_t>(slot) >> 1);
    cell.elsewhere.where = Where::Slot;
    sender_->hold(lane, wire.number, slot, nullptr);
  }
  count_post(outgoing);
  publish(cell, wire, outgoing.bytes);
  return Progress::Done;
}

std::byte* ShmEndpoint::claim(const Wire& wire, size_t bytes) {
  if (bytes < kLeastDirect || !peer_heap_) return nullptr;
  Lane& lane = lanes_[wire.channel];
  Offer& offer = lane.out_offers->offers[wire.number % kCells];
  if (!offer.lease.given(wire.number)) return nullptr;
  const uint64_t offset = offer.offset.load(std::memory_order_relaxed);  // given() has acquired it; if it changed since, take() fails
  return offer.lease.take(wire.number) ? peer_heap_ + offset : nullptr;
}

// The peer made its offer after it had read the message that was in this cell before, so the cell is free.
void ShmEndpoint::deliver(Outgoing& outgoing, const Wire& wire) {
  Lane& lane = lanes_[wire.channel];
  (void)writable(lane, wire.number);
  Cell& cell = lane.out[wire.number % kCells];
  cell.elsewhere.where = Where::Landed;
  count_post(outgoing);
  publish(cell, wire, outgoing.bytes);
}

void ShmEndpoint::offer(Lane& lane, Incoming& incoming) {
  const uint32_t number = incoming.wire.number, cell = number % kCells;
  if (!sender_->in_heap(incoming.landing) || peer_maps_->load(std::memory_order_relaxed) == 0) return;
  if (lane.in_acks->released[cell].load(std::memory_order_relaxed) != number - cell) return;  // the one before is unread
  lane.in_offers->offers[cell].offset.store(static_cast<uint64_t>(incoming.landing - sender_->heap.base),
                                            std::memory_order_relaxed);
  lane.in_offers->offers[cell].lease.give(number);  // release: the ack of the message before is seen first
  lane.offered[cell] = &incoming;
  incoming.handle = &lane;
}

Progress ShmEndpoint::receive(Incoming& incoming) {
  const uint32_t number = incoming.wire.number;
  Lane& lane = lanes_[incoming.wire.channel];
  Cell& cell = lane.in[number % kCells];
  if (cell.stamp.load(std::memory_order_acquire) != number + 1) {
    if (incoming.landing && !incoming.handle && incoming.capacity >= kLeastDirect) offer(lane, incoming);
    return Progress::Again;
  }
  incoming.view.bytes = cell.length;
  incoming.view.signature = cell.signature;
  if (cell.length <= kInlineBytes) {
    incoming.view.data = cell.payload;
    return Progress::Done;
  }
  switch (cell.elsewhere.where) {
    case Where::Slot: incoming.view.data = peer_->at(cell.elsewhere.offset); break;
    case Where::Heap:
      if (!cell.elsewhere.lease.take(number)) return Progress::Again;  // taken back: the sender has failed, and will say so
      incoming.view.data = peer_heap_ + cell.elsewhere.offset;
      break;
    case Where::Landed: incoming.view.data = incoming.landing; break;
  }
  lane.offered[number % kCells] = nullptr;
  return Progress::Done;
}

void ShmEndpoint::release(Incoming& incoming) {
  Lane& lane = lanes_[incoming.wire.channel];
  const uint32_t number = incoming.wire.number;
  // Release: what was read from cell, slot and heap has been read before the sender may write again. Pairs with the acquire
  // loads in writable() and reap().
  lane.in_acks->released[number % kCells].store(ack_of(number), std::memory_order_release);
  ring(peer_->header().doorbell);
}

template <typename Done>
bool ShmEndpoint::wait_for(Done done) const {
  const Deadline deadline = Deadline::after_s(1);
  while (!done()) {
    if (deadline.passed()) return false;
    sched_yield();
  }
  return true;
}

void ShmEndpoint::quiesce() {
  for (Lane& lane : lanes_) {
    for (uint32_t cell = 0; cell < kCells; ++cell) {
      if (lane.held[cell].reference) {
        const uint32_t number = lane.held[cell].message;
        const auto read = [&] { return lane.out_acks->released[cell].load(std::memory_order_acquire) == ack_of(number); };
        if (!lane.out[cell].elsewhere.lease.take_back(number)) (void)wait_for(read);
        sender_->let_go(lane, cell);
      }
      if (const Incoming* incoming = std::exchange(lane.offered[cell], nullptr)) {
        const uint32_t number = incoming->wire.number;
        const auto written = [&] { return lane.in[cell].stamp.load(std::memory_order_acquire) == number + 1; };
        // A peer that is stopped in the middle could go on at any time.
        if (!lane.in_offers->offers[cell].lease.take_back(number) && !wait_for(written))
          unshare(incoming->landing, incoming->capacity);
      }
    }
  }
}

}  // namespace tutti::shm

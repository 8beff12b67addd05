// endpoint: see endpoint.h, and arena.h for who writes what.
#include "transports/shm/endpoint.h"

#include <sched.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "lib/base/lines.h"
#include "lib/base/log.h"

namespace tutti::shm {
namespace {

constexpr uint32_t kCellsAhead = 2;  // of a peer that is ahead
constexpr double kThreadSettlesSeconds = 30;  // a copy of a tile, by however busy a machine

// Without a call, which is most of the work for a few bytes: the two ends, which may overlap, and what is between.
void copy_to_cell(std::byte* to, const std::byte* from, size_t bytes) {
  if (bytes >= 16) {
    for (size_t i = 0; i < bytes - 16; i += 16) std::memcpy(to + i, from + i, 16);
    std::memcpy(to + bytes - 16, from + bytes - 16, 16);
  } else if (bytes >= 8) {
    std::memcpy(to, from, 8);
    std::memcpy(to + bytes - 8, from + bytes - 8, 8);
  } else if (bytes >= 4) {
    std::memcpy(to, from, 4);
    std::memcpy(to + bytes - 4, from + bytes - 4, 4);
  } else {
    for (size_t i = 0; i < bytes; ++i) to[i] = from[i];
  }
}

// Bytes of a cell that a message is in.
size_t used_of_cell(size_t message_bytes) {
  return message_bytes <= kInlineBytes ? offsetof(Cell, payload) + message_bytes : offsetof(Cell, elsewhere) + sizeof(Elsewhere);
}

}  // namespace

void ShmEndpoint::open(Sender& sender, const Bell& bell, Arena& peer_arena, const Mapped& mapped, const Distance& distance, int rank, int peer) {
  sender_ = &sender;
  peer_ = &peer_arena;
  bell_ = &bell;
  doorbell_ = &peer_arena.header().doorbell;
  mapped_ = mapped;
  distance_ = distance;
  words_ = &sender.arena->words(static_cast<uint32_t>(peer));
  rank_ = rank;
  peer_rank_ = peer;
  peer_arena.words(static_cast<uint32_t>(rank)).maps_heap.store(mapped.heap ? 1 : 0, std::memory_order_release);
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

// Looks at the acks that share a line with that of message `number`.
void ShmEndpoint::learn(Lane& lane, uint32_t number) {
  const uint32_t first = number % kCells / kAcksPerLine * kAcksPerLine;
  for (uint32_t i = first; i < first + kAcksPerLine; ++i) {
    const uint32_t released = lane.out_acks->released[i].load(std::memory_order_acquire);
    if (released != lane.released[i] && !lane.held[i].empty()) sender_->let_go(lane, i);
    lane.released[i] = released;
  }
}

// Whether the cell of message `number` is free: message number - 64 has been read.
bool ShmEndpoint::look(Lane& lane, uint32_t number) {
  lane.free_line = UINT32_MAX;
  if (!std::exchange(lane.used, true)) words_->used_lanes.fetch_or(1u << (&lane - lanes_), std::memory_order_release);
  // Now and then at what was sent last, so that few slots are in use.
  if (number % kAcksPerLine == 0 && lane.holds > 0) learn(lane, number - kAcksPerLine);
  const uint32_t cell = number % kCells, lap = number - cell;
  if (lane.holds == 0) {
    const uint32_t first = cell / kAcksPerLine * kAcksPerLine;
    bool all = true;
    for (uint32_t i = first; i < first + kAcksPerLine; ++i)
      all &= lane.out_acks->released[i].load(std::memory_order_acquire) == lap;
    if (all) {
      std::fill_n(lane.released + first, kAcksPerLine, lap);
      lane.free_line = number / kAcksPerLine;
      return true;
    }
  }
  if (lane.released[cell] != lap || !lane.held[cell].empty()) learn(lane, number);
  return lane.released[cell] == lap;
}

// Whether a large slot may be taken for message `number`: message number - 16 has been read, or even one that came later into its
// cell.
bool ShmEndpoint::large_writable(Lane& lane, uint32_t number) {
  const uint32_t before = number - kLargeWindow, cell = before % kCells;
  const auto read = [&] { return static_cast<int32_t>(lane.released[cell] - ack_of(before)) >= 0; };
  if (!read()) learn(lane, before);
  return read();
}

void ShmEndpoint::publish(Cell& cell, const Wire& wire, size_t bytes) {
  cell.signature = wire.signature;
  // Pairs with receive(). Covers cell, slot, heap, and what was written where the peer wanted it.
  cell.head.store(Head::make(wire, bytes), std::memory_order_release);
  ring();
}

[[gnu::noinline, gnu::cold]] void ShmEndpoint::wake() { bell_->ring(peer_->header()); }

void ShmEndpoint::count_post(Outgoing& outgoing) {
  if (--outgoing.posts_left == 0 && outgoing.handle != 0) sender_->drop(static_cast<int32_t>(outgoing.handle - 1));
}

bool ShmEndpoint::shows(const void* at) const {
  return mapped_.same_process ||
         (words_->maps_heap.load(std::memory_order_relaxed) != 0 && sender_->in_heap(static_cast<const std::byte*>(at)));
}

// Where the peer can read the payload itself; a slot if it cannot, or if a copy has been made for another reader already.
Where ShmEndpoint::reference(const Outgoing& outgoing) const {
  if (outgoing.bytes < kLeastDirect || !outgoing.contiguous || outgoing.handle != 0) return Where::Slot;
  if (!shows(outgoing.contiguous)) return Where::Slot;
  return mapped_.same_process ? Where::Memory : Where::Heap;
}

Progress ShmEndpoint::post(Outgoing& outgoing, const Wire& wire) {
  if (outgoing.bytes >= kLeastDirect && put(outgoing, wire)) return Progress::Done;
  Lane& lane = lanes_[wire.channel];
  if (!writable(lane, wire.number)) return Progress::Again;
  Cell& cell = lane.out_cell(wire.number);
  if (outgoing.bytes <= kInlineBytes && outgoing.contiguous) [[likely]] {
    copy_to_cell(cell.payload, outgoing.contiguous, outgoing.bytes);
  } else if (!point_to_payload(lane, cell, outgoing, wire.number)) {
    return Progress::Again;
  }
  count_post(outgoing);
  publish(cell, wire, outgoing.bytes);
  // The peer looks at the next cell when it has this message: until then there is time to take it over.
  take_lines(&lane.out_cell(wire.number + 1), used_of_cell(outgoing.bytes));
  lane.answered = true;
  return Progress::Done;
}

// Where the payload does not simply go into the cell. False: there is no room now.
[[gnu::noinline]] bool ShmEndpoint::point_to_payload(Lane& lane, Cell& cell, Outgoing& outgoing, uint32_t number) {
  if (outgoing.bytes <= kInlineBytes) {
    if (outgoing.bytes > 0) outgoing.pack(outgoing, {cell.payload});
  } else if (const Where where = reference(outgoing); where != Where::Slot) {
    const std::byte* const base = where == Where::Heap ? sender_->heap.base : nullptr;
    cell.elsewhere.offset = reinterpret_cast<uint64_t>(outgoing.contiguous) - reinterpret_cast<uint64_t>(base);
    cell.elsewhere.where = where;
    cell.elsewhere.lease.give(number);
    sender_->hold(lane, number, -1, &outgoing);
  } else {
    if (outgoing.bytes > kSmallSlotBytes && !large_writable(lane, number)) return false;
    const bool far = distance_.far();
    if (outgoing.handle == 0 && !sender_->stage(outgoing, distance_)) return false;
    if (distance_.far() != far) [[unlikely]]
      log_info(rank_, "shm: messages to rank ", peer_rank_, " are written ", far ? "through" : "past", " the caches from now on");
    const int32_t slot = static_cast<int32_t>(outgoing.handle - 1);
    cell.elsewhere.offset = sender_->pools[slot & 1].offset(static_cast<uint32_t>(slot) >> 1);
    cell.elsewhere.where = Where::Slot;
    sender_->hold(lane, number, slot, nullptr);
  }
  return true;
}

std::byte* ShmEndpoint::claim(const Wire& wire, size_t bytes) {
  if (bytes < kLeastDirect || !(mapped_.heap || mapped_.same_process)) return nullptr;
  Lane& lane = lanes_[wire.channel];
  Offer& offer = lane.out_offers->offers[wire.number % kCells];
  if (!offer.lease.given(wire.number)) return nullptr;
  // given() has acquired both; if they have changed since, take() fails. A call of another length is not let at the memory.
  const uint64_t offset = offer.offset.load(std::memory_order_relaxed);
  if (offer.bytes.load(std::memory_order_relaxed) != bytes) return nullptr;
  if (!mapped_.same_process && (bytes > mapped_.heap_bytes || offset > mapped_.heap_bytes - bytes)) return nullptr;
  if (!offer.lease.take(wire.number)) return nullptr;
  return mapped_.same_process ? reinterpret_cast<std::byte*>(offset) : mapped_.heap + offset;
}

// Writes the payload straight to where the peer wants it. False: the peer has not said where.
[[gnu::noinline]] bool ShmEndpoint::put(Outgoing& outgoing, const Wire& wire) {
  std::byte* const to = claim(wire, outgoing.bytes);
  if (!to) return false;
  const Way how = outgoing.streamed ? Way::Streamed : way(outgoing.bytes);
  if (outgoing.contiguous) {
    write(to, outgoing.contiguous, outgoing.bytes, how);
  } else {
    outgoing.pack(outgoing, {to, how});
  }
  deliver(outgoing, wire);
  return true;
}

// The peer made its offer after it had read the message that was in this cell before, so the cell is free.
void ShmEndpoint::deliver(Outgoing& outgoing, const Wire& wire) {
  Lane& lane = lanes_[wire.channel];
  (void)writable(lane, wire.number);  // lets go of what the message before held
  Cell& cell = lane.out_cell(wire.number);
  cell.elsewhere.where = Where::Landed;
  count_post(outgoing);
  publish(cell, wire, outgoing.bytes);
  lane.answered = true;
}

void ShmEndpoint::offer(Incoming& incoming) {
  if (incoming.capacity < kLeastDirect) return;
  // What fits the caches is better fetched by this core than written by another. Not so a sum, which its writer has just made.
  if (!incoming.streamed && !incoming.fresh) return;
  Lane& lane = lanes_[incoming.wire.channel];
  const uint32_t number = incoming.wire.number, cell = number % kCells;
  if (!shows(incoming.landing)) return;
  if (lane.in_acks->released[cell].load(std::memory_order_relaxed) != number - cell) return;  // the one before is unread
  Offer& offer = lane.in_offers->offers[cell];
  const uint64_t base = mapped_.same_process ? 0 : reinterpret_cast<uint64_t>(sender_->heap.base);
  offer.offset.store(reinterpret_cast<uint64_t>(incoming.landing) - base, std::memory_order_relaxed);
  offer.bytes.store(incoming.capacity, std::memory_order_relaxed);
  offer.lease.give(number);  // release: the ack of the message before is seen first
  lane.offered[cell] = &incoming;
}

Progress ShmEndpoint::receive(Incoming& incoming) {
  const uint32_t number = incoming.wire.number;
  const Cell& cell = lanes_[incoming.wire.channel].in_cell(number);
  const Head head = cell.look();
  if (!head.is(number)) return Progress::Again;
  incoming.lent = false;
  incoming.view.stamp = head.stamp();
  incoming.view.signature = cell.signature;
  if (bytes_of(head.stamp()) > kInlineBytes) return receive_elsewhere(cell, incoming);
  incoming.view.data = cell.payload;
  return Progress::Done;
}

// For a payload outside of its cell. Reads each word that the peer has written once, and checks it before use.
[[gnu::noinline]] Progress ShmEndpoint::receive_elsewhere(const Cell& cell, Incoming& incoming) {
  const size_t bytes = bytes_of(incoming.view.stamp);
  const uint64_t offset = __atomic_load_n(&cell.elsewhere.offset, __ATOMIC_RELAXED);
  const auto within = [&](uint64_t low, uint64_t high) { return offset >= low && offset <= high && bytes <= high - offset; };
  bool found = false;
  switch (Where where; __atomic_load(&cell.elsewhere.where, &where, __ATOMIC_RELAXED), where) {
    case Where::Slot:
      incoming.view.data = peer_->at(offset);
      found = within(peer_->layout().small_slots, peer_->layout().total);
      break;
    case Where::Landed:
      incoming.view.data = incoming.landing;
      found = bytes == incoming.capacity;
      break;
    case Where::Heap:
      incoming.lent = true;
      incoming.view.data = mapped_.heap + offset;
      found = mapped_.heap && within(0, mapped_.heap_bytes);
      break;
    case Where::Memory:
      incoming.lent = true;
      incoming.view.data = reinterpret_cast<const std::byte*>(offset);
      found = mapped_.same_process;
      break;
  }
  if (!found) {
    failure_ = fail(Code::InternalError, "shm: rank ", peer_rank_, " announced a message outside of its memory");
    return Progress::Failed;
  }
  Lane& lane = lanes_[incoming.wire.channel];
  const uint32_t index = incoming.wire.number % kCells;
  if (lane.offered[index]) {  // the message has come: the sender no longer looks at the offer
    lane.offered[index] = nullptr;
    lane.in_offers->offers[index].lease.end();
  }
  return Progress::Done;
}

bool ShmEndpoint::begin(Incoming& incoming) {
  const uint32_t number = incoming.wire.number;
  Lane& lane = lanes_[incoming.wire.channel];
  if (!lane.in_cell(number).elsewhere.lease.take(number)) return false;
  lane.taken[number % kCells] = uint64_t{number} + 1;
  incoming.lent = false;
  return true;
}

void ShmEndpoint::release(Incoming& incoming) {
  Lane& lane = lanes_[incoming.wire.channel];
  const uint32_t number = incoming.wire.number;
  // Release: what was read from cell, slot and the peer's memory has been read before the sender may write again. Pairs with the
  // acquire loads in look(), learn() and reap().
  lane.in_acks->released[number % kCells].store(ack_of(number), std::memory_order_release);
  ring();
  // A peer that waits for no answer may be ahead: its cells come while this rank goes on. One that does is about to write them.
  if (!lane.answered)
    for (uint32_t ahead = 1; ahead <= kCellsAhead; ++ahead) fetch_lines(&lane.in_cell(number + ahead), used_of_cell(bytes_of(incoming.view.stamp)));
  lane.answered = false;
}

void ShmEndpoint::add_untaken(std::vector<Untaken>& untaken) const {
  const auto add_first = [&](uint8_t channel, int sender, int receiver, const auto& cell_of_message, const Acks& acks) {
    std::optional<Untaken> first;
    for (uint32_t i = 0; i < kCells; ++i) {
      const Cell& cell = cell_of_message(i);
      const Head head = cell.look();
      if (head.was_read(acks.released[i].load(std::memory_order_acquire))) continue;
      const uint32_t call = call_of(head.stamp());
      const bool earlier = first && static_cast<int32_t>((call - call_of(first->wire.call)) << (32 - kCallBits)) < 0;
      if (!first || earlier) first = {sender, receiver, {i, channel, stamp_of(call), cell.signature}};
    }
    if (first) untaken.push_back(*first);
  };
  const uint32_t to_me = peer_->words(static_cast<uint32_t>(rank_)).used_lanes.load(std::memory_order_acquire);
  const bool peer_left = peer_->header().left.load(std::memory_order_acquire) != 0;
  for (uint8_t channel = 0; channel < kLanes; ++channel) {
    const Lane& lane = lanes_[channel];
    if (to_me >> channel & 1) add_first(channel, peer_rank_, rank_, [&](uint32_t i) -> const Cell& { return lane.in_cell(i); }, *lane.in_acks);
    if (lane.used && peer_left && peer_rank_ != rank_)
      add_first(channel, rank_, peer_rank_, [&](uint32_t i) -> const Cell& { return lane.out_cell(i); }, *lane.out_acks);
  }
}

void ShmEndpoint::withdraw() {
  for (Lane& lane : lanes_) {
    for (uint32_t cell = 0; cell < kCells; ++cell) {
      // What was taken and will not be read any more.
      if (lane.taken[cell] > 0) {
        const uint32_t number = static_cast<uint32_t>(lane.taken[cell] - 1);
        std::atomic<uint32_t>& ack = lane.in_acks->released[cell];
        if (ack.load(std::memory_order_relaxed) == number - cell) ack.store(ack_of(number), std::memory_order_release);
      }
      if (lane.held[cell].reference && lane.out_cell(cell).elsewhere.lease.take_back(lane.held[cell].message))
        sender_->let_go(lane, cell);
      if (lane.offered[cell] && lane.in_offers->offers[cell].lease.take_back(lane.offered[cell]->wire.number))
        lane.offered[cell] = nullptr;
    }
  }
}

// What a peer has claimed, or begun to read, it finishes without a pause in between, unless its process is stopped: such a one is not
// waited for beyond the end. A thread of this process is, since the memory may be freed after this.
void ShmEndpoint::settle(const Deadline& end) {
  const Deadline deadline = mapped_.same_process ? Deadline::after_s(kThreadSettlesSeconds) : end;
  const auto wait_for = [&](auto done) {
    while (!done()) {
      if (deadline.passed()) return false;
      sched_yield();
    }
    return true;
  };
  for (Lane& lane : lanes_) {
    for (uint32_t cell = 0; cell < kCells; ++cell) {
      if (lane.held[cell].reference) {
        const uint32_t read = ack_of(lane.held[cell].message);
        (void)wait_for([&] { return lane.out_acks->released[cell].load(std::memory_order_acquire) == read; });
        sender_->let_go(lane, cell);
      }
      if (const Incoming* incoming = std::exchange(lane.offered[cell], nullptr)) {
        const uint32_t number = incoming->wire.number;
        // A peer that is stopped in the middle could go on at any time.
        if (!wait_for([&] { return lane.in_cell(number).look().is(number); }))
          unshare(incoming->landing, incoming->capacity);
      }
    }
  }
}

}  // namespace tutti::shm

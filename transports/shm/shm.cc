// shm: see shm.h and arena.h for who writes what.
#include "transports/shm/shm.h"

#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "lib/base/fence.h"
#include "transports/shm/arena.h"
#include "transports/shm/exchange.h"

namespace tutti::shm {
namespace {

// The sender's slots of one size. Each slot counts the cells that refer to it; only the owner touches these counts.
class SlotPool {
 public:
  void open(size_t first_offset, size_t slot_bytes, uint32_t slots) {
    first_offset_ = first_offset;
    slot_bytes_ = slot_bytes;
    references_.assign(slots, 0);
    free_.resize(slots);
    for (uint32_t i = 0; i < slots; ++i) free_[i] = slots - 1 - i;
  }
  bool empty() const { return free_.empty(); }
  uint32_t take() {
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

class Shm;

class ShmEndpoint final : public Endpoint {
 public:
  Progress post(Outgoing& outgoing, const Wire& wire) override;
  Progress receive(Incoming& incoming) override;
  void release(Incoming& incoming) override;

 private:
  friend class Shm;
  // Which slot a cell of mine refers to: index * 2 + (1 if large), or -1.
  struct Lane {
    Cell* out;
    AckLine* out_acks;
    Cell* in;
    AckLine* in_acks;
    uint32_t released[kCells];  // my copy of out_acks, refreshed when it says that a cell is busy
    int32_t slots[kCells];
    uint32_t slots_held;
  };
  bool writable(Lane& lane, uint32_t number);

  Shm* shm_ = nullptr;
  Arena* peer_ = nullptr;
  Lane lanes_[kLanes];
};

class Shm final : public Transport {
 public:
  explicit Shm(const TransportOptions& options)
      : rank_(options.rank),
        ranks_(options.ranks),
        cancel_(options.cancel),
        layout_(static_cast<uint32_t>(options.ranks), options.largest_message) {}

  Status open();
  const char* name() const override { return "shm"; }
  bool copies() const override { return true; }
  Result<std::string> address() override;
  Status connect(std::span<const std::string> addresses, Deadline deadline) override;
  Reach reach(int peer) const override {
    if (!arenas_[peer]) return {};
    return {true, 100e-9, 10e9};
  }
  Endpoint& endpoint(int peer) override { return endpoints_[peer]; }
  void arm() override;
  void sleep(int64_t max_ns) override;
  void wake() override;
  bool crowded() const override { return crowded_; }

 private:
  friend class ShmEndpoint;
  // Takes a slot and fills it. False: none is free now.
  bool stage(Outgoing& outgoing);
  // Takes back the slots that have been read by all.
  void reap();
  void drop(int32_t slot) { pools_[slot & 1].drop(static_cast<uint32_t>(slot) >> 1); }

  const int rank_, ranks_;
  const std::atomic<bool>& cancel_;  // of start-up
  const ArenaLayout layout_;
  Token token_{};
  std::unique_ptr<Arena> mine_;
  std::unique_ptr<Listener> listener_;
  std::vector<Arena*> arenas_;                     // by rank; null: not on this host
  std::vector<std::unique_ptr<Arena>> attached_;
  std::vector<ShmEndpoint> endpoints_;
  std::vector<ShmEndpoint::Lane*> holding_;        // lanes with slots_held > 0
  SlotPool pools_[2];                              // small, large
  bool crowded_ = false;
  uint32_t seen_rings_ = 0;
};

Status Shm::open() {
  if (getrandom(token_.data(), sizeof token_, 0) != sizeof token_) return system_failure("shm: getrandom", errno);
  Result<std::unique_ptr<Arena>> arena = Arena::create(layout_, token_);
  if (!arena.ok()) return arena.status();
  mine_ = std::move(arena.value());
  Result<std::unique_ptr<Listener>> listener = Listener::open(token_);
  if (!listener.ok()) return listener.status();
  listener_ = std::move(listener.value());
  pools_[0].open(layout_.small_slots, kSmallSlotBytes, layout_.slots);
  pools_[1].open(layout_.large_slots, layout_.large_slot_bytes, layout_.slots);
  arenas_.resize(ranks_);
  attached_.resize(ranks_);
  endpoints_.resize(ranks_);
  holding_.reserve(static_cast<size_t>(ranks_) * kLanes);
  return {};
}

Result<std::string> Shm::address() {
  Contact contact = contact_of_this_process();
  contact.token = token_;
  contact.arena_bytes = layout_.total;
  return std::string(reinterpret_cast<const char*>(&contact), sizeof contact);
}

Status Shm::connect(std::span<const std::string> addresses, Deadline deadline) {
  // Closed on return, whatever came of it: ranks that wait in the backlog see the end.
  const std::unique_ptr<Listener> listener = std::move(listener_);
  std::vector<Contact> contacts(ranks_);
  for (int peer = 0; peer < ranks_; ++peer) {
    if (addresses[peer].size() != sizeof(Contact))
      return fail(Code::InvalidUsage, "shm: rank ", peer, " runs another version of Tutti");
    std::memcpy(&contacts[peer], addresses[peer].data(), sizeof(Contact));
  }
  TUTTI_TRY(exchange_arenas(rank_, contacts, layout_, *listener, *mine_, attached_, {deadline, cancel_}));
  mine_->close_descriptor();

  uint64_t cpus[16] = {};
  uint32_t local = 0, cores = 0;
  for (int peer = 0; peer < ranks_; ++peer) {
    arenas_[peer] = peer == rank_ ? mine_.get() : attached_[peer].get();
    if (!arenas_[peer]) continue;
    ++local;
    for (int i = 0; i < 16; ++i) cpus[i] |= contacts[peer].cpus[i];
    ShmEndpoint& endpoint = endpoints_[peer];
    endpoint.shm_ = this;
    endpoint.peer_ = arenas_[peer];
    for (uint8_t lane = 0; lane < kLanes; ++lane) {
      ShmEndpoint::Lane& entry = endpoint.lanes_[lane];
      entry.out = mine_->cells(lane, static_cast<uint32_t>(peer));
      entry.out_acks = &mine_->acks(lane, static_cast<uint32_t>(peer));
      entry.in = arenas_[peer]->cells(lane, static_cast<uint32_t>(rank_));
      entry.in_acks = &arenas_[peer]->acks(lane, static_cast<uint32_t>(rank_));
      entry.slots_held = 0;
      std::fill(std::begin(entry.released), std::end(entry.released), 0);
      std::fill(std::begin(entry.slots), std::end(entry.slots), -1);
    }
  }
  for (uint64_t mask : cpus) cores += static_cast<uint32_t>(std::popcount(mask));
  crowded_ = local > cores;
  return {};
}

bool Shm::stage(Outgoing& outgoing) {
  const int size = outgoing.bytes > kSmallSlotBytes;
  // Large slots: look at once what has been read, to write again where the cache is warm. Small ones: when none is left.
  if (size == 1 || pools_[size].empty()) reap();
  if (pools_[size].empty()) return false;
  const uint32_t slot = pools_[size].take();
  std::byte* to = mine_->at(pools_[size].offset(slot));
  if (outgoing.contiguous) {
    std::memcpy(to, outgoing.contiguous, outgoing.bytes);
  } else {
    outgoing.pack(outgoing, to);
  }
  pools_[size].refer(slot);  // the caller's own reference, dropped with the last post
  outgoing.handle = (uint64_t{slot} << 1 | static_cast<uint64_t>(size)) + 1;
  return true;
}

void Shm::reap() {
  for (size_t i = 0; i < holding_.size();) {
    ShmEndpoint::Lane& lane = *holding_[i];
    for (uint32_t cell = 0; cell < kCells; ++cell) {
      if (lane.slots[cell] < 0) continue;
      const uint32_t released = lane.out_acks->released[cell].load(std::memory_order_acquire);
      if (released == lane.released[cell]) continue;
      lane.released[cell] = released;
      drop(lane.slots[cell]);
      lane.slots[cell] = -1;
      --lane.slots_held;
    }
    if (lane.slots_held > 0) {
      ++i;
    } else {
      holding_[i] = holding_.back();
      holding_.pop_back();
    }
  }
}

// Whether the cell of message `number` is free: message number - 16 has been read.
bool ShmEndpoint::writable(Lane& lane, uint32_t number) {
  const uint32_t cell = number % kCells;
  if (lane.released[cell] == number - cell && lane.slots[cell] < 0) [[likely]]
    return true;
  // The acks share one cache line, so one look learns about all cells.
  for (uint32_t i = 0; i < kCells; ++i) {
    const uint32_t released = lane.out_acks->released[i].load(std::memory_order_acquire);
    if (released != lane.released[i] && lane.slots[i] >= 0) {
      shm_->drop(lane.slots[i]);
      lane.slots[i] = -1;
      if (--lane.slots_held == 0) std::erase(shm_->holding_, &lane);
    }
    lane.released[i] = released;
  }
  return lane.released[cell] == number - cell;
}

Progress ShmEndpoint::post(Outgoing& outgoing, const Wire& wire) {
  Lane& lane = lanes_[wire.channel];
  if (!writable(lane, wire.number)) return Progress::Again;
  const uint32_t index = wire.number % kCells;
  Cell& cell = lane.out[index];
  if (outgoing.bytes <= kInlineBytes) {
    if (outgoing.contiguous) {
      std::memcpy(cell.payload, outgoing.contiguous, outgoing.bytes);
    } else if (outgoing.bytes > 0) {
      outgoing.pack(outgoing, cell.payload);
    }
    --outgoing.posts_left;
  } else {
    if (outgoing.handle == 0 && !shm_->stage(outgoing)) return Progress::Again;
    const int32_t slot = static_cast<int32_t>(outgoing.handle - 1);
    SlotPool& pool = shm_->pools_[slot & 1];
    cell.slot_offset = pool.offset(static_cast<uint32_t>(slot) >> 1);
    pool.refer(static_cast<uint32_t>(slot) >> 1);
    lane.slots[index] = slot;
    if (lane.slots_held++ == 0) shm_->holding_.push_back(&lane);
    if (--outgoing.posts_left == 0) shm_->drop(slot);
  }
  cell.length = static_cast<uint32_t>(outgoing.bytes);
  cell.signature = wire.signature;
  cell.stamp.store(wire.number + 1, std::memory_order_release);  // pairs with receive()
  ring(peer_->header().doorbell);
  return Progress::Done;
}

Progress ShmEndpoint::receive(Incoming& incoming) {
  Lane& lane = lanes_[incoming.wire.channel];
  Cell& cell = lane.in[incoming.wire.number % kCells];
  if (cell.stamp.load(std::memory_order_acquire) != incoming.wire.number + 1) return Progress::Again;
  incoming.view.bytes = cell.length;
  incoming.view.signature = cell.signature;
  incoming.view.data = cell.length <= kInlineBytes ? cell.payload : peer_->at(cell.slot_offset);
  return Progress::Done;
}

void ShmEndpoint::release(Incoming& incoming) {
  Lane& lane = lanes_[incoming.wire.channel];
  const uint32_t number = incoming.wire.number;
  // Release: what was read from cell and slot has been read before the sender may write again. Pairs with the acquire
  // loads in writable() and reap().
  lane.in_acks->released[number % kCells].store(ack_of(number), std::memory_order_release);
  ring(peer_->header().doorbell);
}

void Shm::arm() {
  Doorbell& doorbell = mine_->header().doorbell;
  seen_rings_ = doorbell.rings.load(std::memory_order_acquire);
  doorbell.sleeping.store(1, std::memory_order_relaxed);
  // After this, a peer either sees `sleeping`, or wrote its message early enough for the caller's next look to find it.
  heavy_fence_all();
}

void Shm::sleep(int64_t max_ns) {
  Doorbell& doorbell = mine_->header().doorbell;
  // Without that fence a ring can be missed: then a short nap bounds the delay.
  if (max_ns > 0) wait(doorbell, seen_rings_, kHeavyFenceAllWorks ? max_ns : std::min<int64_t>(max_ns, 500'000));
  doorbell.sleeping.store(0, std::memory_order_relaxed);
}

void Shm::wake() {
  Doorbell& doorbell = mine_->header().doorbell;
  doorbell.sleeping.store(1, std::memory_order_relaxed);
  ring(doorbell);
}

}  // namespace

Result<std::unique_ptr<Transport>> create(const TransportOptions& options) {
  auto shm = std::make_unique<Shm>(options);
  TUTTI_TRY(shm->open());
  return std::unique_ptr<Transport>(std::move(shm));
}

}  // namespace tutti::shm

// arena: the shared memory that one rank owns and its peers on the host map.
//
//   header | a few words for each peer | acks[lane][peer] | offers[lane][peer] | cells[lane][peer][64] | small slots | large slots
//
// Rank r's arena holds everything r sends. For a lane to peer p, r writes the cells, p writes the acks and the offers:
//  - cell (one of 64, see cell_of): the signature, and either the payload (240 bytes at most) or its place. The place is a slot of the
//    arena, or r's memory (r's heap; any memory if p runs in r's process), or the memory that p offered. r stores `head` last, with
//    release: the number, length and call of the message. p's acquire of `head` makes the cell and the payload visible;
//  - ack (message % 64): p stores that it has read the message, with release; r's acquire lets it overwrite cell and slot.
//    The value is biased so that the zeroed memory of a new arena means "the lap before the first has been read";
//  - offer (message % 64): where in its own heap, or in the process that both run in, p would like the message to be written,
//    before r has sent it;
//  - left: r has left. It will never read what it has not read by then;
//  - doorbell: r raises `sleeping` before it sleeps; any peer that wrote something for r looks at it and rings (bell.h).
// The file is an unlinked memfd. It disappears with its last mapping, also after kill -9. Its length is sealed, so that no process can
// shorten it while others map it. Pages are allocated when they are touched.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "lib/base/memory.h"
#include "lib/base/status.h"
#include "lib/transport/transport.h"

namespace tutti::shm {

inline constexpr uint32_t kCells = 64;          // per lane and peer; the window of messages in flight
inline constexpr uint32_t kAcksPerLine = 16;
inline constexpr uint32_t kLargeWindow = 16;    // a large slot is for a message whose 16th before has been read: bounds the memory
inline constexpr size_t kInlineBytes = 240;
inline constexpr size_t kSmallSlotBytes = 4096;

// Memory that one rank lets another use for one message, and can take back as long as the other has not begun.
class Lease {
 public:
  void give(uint32_t message) { word_.store(uint64_t{message} << 2 | kGiven, std::memory_order_release); }
  bool given(uint32_t message) const { return word_.load(std::memory_order_acquire) == (uint64_t{message} << 2 | kGiven); }
  // By the other: false if it was taken back, or is of another message.
  bool take(uint32_t message) { return change(message, uint64_t{message} << 2 | kTaken); }
  // By the giver: false if the other has begun.
  bool take_back(uint32_t message) { return change(message, 0); }
  // By the giver, when the other can no longer come.
  void end() { word_.store(0, std::memory_order_relaxed); }

 private:
  static constexpr uint64_t kGiven = 1, kTaken = 2;
  // Of take() and take_back() one finds the other's value. What the winner does with the memory comes after.
  bool change(uint32_t message, uint64_t to) {
    uint64_t from = uint64_t{message} << 2 | kGiven;
    return word_.compare_exchange_strong(from, to, std::memory_order_acq_rel);
  }
  std::atomic<uint64_t> word_;
};

enum class Where : uint32_t { Slot, Heap, Memory, Landed };  // of a payload that is not in its cell

struct Elsewhere {
  uint64_t offset;  // Slot: from the arena's start. Heap: from the start of the sender's heap. Memory: the sender's address
  Where where;
  Lease lease;      // Heap, Memory: the reader takes it when it is about to read
};

// The first word of a cell: the lap and the stamp of its message. The lap counts the messages that have been in this cell; it tells a
// message from the one before it, and from an empty cell. Lap and length share one word, so that a faulty peer cannot change the length
// after the reader has checked it.
struct Head {
  static constexpr int kLapBits = 64 - kBytesBits - kCallBits;
  static constexpr uint64_t kLaps = uint64_t{1} << kLapBits;

  static uint64_t lap(uint32_t message) { return (message / kCells + 1) % kLaps; }
  static uint64_t make(const Wire& wire, size_t bytes) { return (wire.call | bytes) << kLapBits | lap(wire.number); }
  bool is(uint32_t message) const { return word % kLaps == lap(message); }
  // Whether the ack of the cell says that this message has been read.
  bool was_read(uint32_t ack) const { return word % kLaps == ack / kCells % kLaps; }
  uint64_t stamp() const { return word >> kLapBits; }

  uint64_t word;
};

struct alignas(64) Cell {
  std::atomic<uint64_t> head;
  uint64_t signature;
  union {
    std::byte payload[kInlineBytes];  // of a short message
    Elsewhere elsewhere;
  };

  Head look() const { return {head.load(std::memory_order_acquire)}; }
};
static_assert(sizeof(Cell) == 256);

// Messages of 16 lie on a page in no order, so that no processor that reads one prefetches the next from the core that is about
// to write it: an AllReduce of 8 bytes between two processes takes a seventh less (`build/perf/all_reduce_perf -p 2 -b 8 -e 8 -n 200
// -c 0`).
inline constexpr uint8_t kCellOrder[16] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};
inline uint32_t cell_of(uint32_t message) { return message % kCells / 16 * 16 + kCellOrder[message % 16]; }

struct Offer {
  std::atomic<uint64_t> offset, bytes;  // from the start of the reader's heap; in its own process: the address
  Lease lease;
};
struct alignas(64) Offers {
  Offer offers[kCells];
};

struct alignas(64) Acks {
  std::atomic<uint32_t> released[kCells];
};

// What ack `cell` holds once message `number` has been read.
inline uint32_t ack_of(uint32_t number) { return number + kCells - number % kCells; }

struct alignas(64) Doorbell {
  std::atomic<uint32_t> sleeping;
};

struct PeerWords {
  std::atomic<uint32_t> maps_heap;   // 1: the peer maps the owner's heap. The peer writes it when it connects
  std::atomic<uint32_t> used_lanes;  // bit l: the owner has sent to the peer on lane l. The pages of other lanes are not touched
};

using Token = std::array<uint64_t, 2>;

struct ArenaHeader {
  uint64_t magic;
  std::atomic<uint32_t> left;  // 1: the owner has left and receives nothing any more
  Token token;   // names this arena; random
  Doorbell doorbell;
};

// Where things lie; a pure function of its inputs, so that peers agree.
struct ArenaLayout {
  ArenaLayout(uint32_t ranks, size_t largest_message);
  uint32_t ranks;
  uint32_t small_count, large_count;  // of slots: enough for the windows of all lanes, so that slots never run out first
  size_t large_slot_bytes;
  size_t words, acks, offers, cells, small_slots, large_slots, total;  // offsets and size in bytes
};

// One mapping of an arena. Ranks of one process share the owner's mapping, others map the descriptor they were sent.
class Arena {
 public:
  // The owner's: makes the file and enters the arena in this process's list.
  static Result<std::unique_ptr<Arena>> create(const ArenaLayout& layout, const Token& token);
  // A peer in the owner's process; fails when the owner is gone.
  static Result<std::unique_ptr<Arena>> attach_local(const ArenaLayout& layout, const Token& token);
  // A peer in another process; checks that the file is the arena meant. The descriptor stays the caller's.
  static Result<std::unique_ptr<Arena>> attach(const ArenaLayout& layout, const Token& token, int descriptor);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  int descriptor() const { return descriptor_.get(); }  // the owner's, until close_descriptor(); else -1
  void close_descriptor() { descriptor_.reset(); }
  ArenaHeader& header() const { return *reinterpret_cast<ArenaHeader*>(base_); }
  Cell* cells(uint8_t lane, uint32_t peer) const {
    return reinterpret_cast<Cell*>(base_ + layout_.cells) + (static_cast<size_t>(lane) * layout_.ranks + peer) * kCells;
  }
  Acks& acks(uint8_t lane, uint32_t peer) const {
    return reinterpret_cast<Acks*>(base_ + layout_.acks)[static_cast<size_t>(lane) * layout_.ranks + peer];
  }
  Offers& offers(uint8_t lane, uint32_t peer) const {
    return reinterpret_cast<Offers*>(base_ + layout_.offers)[static_cast<size_t>(lane) * layout_.ranks + peer];
  }
  PeerWords& words(uint32_t peer) const { return reinterpret_cast<PeerWords*>(base_ + layout_.words)[peer]; }
  std::byte* at(uint64_t offset) const { return base_ + offset; }
  const ArenaLayout& layout() const { return layout_; }

 private:
  explicit Arena(const ArenaLayout& layout) : layout_(layout) {}
  Status map(int descriptor);

  const ArenaLayout layout_;
  std::byte* base_ = nullptr;
  bool listed_ = false;  // the process's list of arenas counts this object
  Descriptor descriptor_;
};

}  // namespace tutti::shm

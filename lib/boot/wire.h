// wire: the messages of the control plane, and how numbers and texts are laid out in them (little-endian, lengths first).
//
// A Reader never reads past the end: what is missing reads as zero or empty, and ok() turns false.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/boot/address.h"
#include "lib/base/crypto.h"
#include "lib/boot/boot.h"

namespace tutti {

inline constexpr size_t kMaxBlobBytes = 64 * 1024;
inline constexpr size_t kMaxTextBytes = 4096;      // of a cause
inline constexpr size_t kMaxCallTextBytes = 512;  // of a call that a cause may quote; longer texts are cut
inline constexpr size_t kMaxPayloadBytes = kMaxBlobBytes + 8192;

enum class Kind : uint8_t {
  // to the rendezvous
  Hello = 1,
  // from the rendezvous
  Noted,         // the Identity in whose process it lives: answers a Hello, and follows when the rank becomes known
  Seats,         // to the root, and from each parent to its children: some of the ranks, in tree order
  Introduction,  // the seats of the parent and of the root, and the number of children
  // to the rendezvous, or to the root: a Cause, why this rank gives up
  GaveUp,
  // from the rendezvous: a Cause, why join() fails. Between neighbours in the tree, both ways: a Cause, why the communicator has failed
  Failure,
  // up the tree, from the rank that it concerns to the root
  Member,
  Contribution,
  GatherLate,
  Abort,
  Timeout,
  Mismatch,
  Activity,
  Unanswered,  // a child of the sender has not answered a Query
  Leave,
  Call,    // a rank wants a next generation
  Accept,  // of a Proposal
  Gone,    // a rank has died. Only the agreement on a next generation uses it
  Vanished,  // a Cause: a rank that has died, unless it has left
  // to the parent only
  Attach,  // from a rank whose parent was another one
  Ping,
  Moved,     // the sender has another parent now. From a parent that leaves: all its other children have
  Shunned,   // the same, because the parent does not answer
  Succeeds,  // the sender is the root now, to the one before it
  // down the tree, from the root to all
  Welcome,
  Gathered,
  Query,
  Left,  // ranks that have left
  Proposal,
  Undecided,  // there will be no next generation; the text says why
  Decided,    // the next generation. Up the tree: for a new root that does not know it
  // from the parent only
  Adopted,  // answers Attach
  Refer,    // the same: the sender has children enough, this one of them has to be asked
  Pong,
  Goodbye,  // the child must find another parent
  Repeat,   // to the whole subtree: the way to the root has changed, so what is still open has to be sent again
};

struct Frame {
  Kind kind;
  std::string payload;
};

// Who a rank is, for sentences.
struct Identity {
  int32_t rank = -1;
  uint32_t pid = 0;
  std::string host;
};
// Where a rank listens for its children.
struct Seat {
  Identity who;
  Address address{};
  Nonce salt{};
};
// Follows an identity in sentences. A rank that fails while the ranks join may end before the others hear why.
inline constexpr const char* kEnded = " died or gave up while the ranks were joining: ";
Identity own_identity(int rank);
std::string to_text(const Identity& identity);         // "rank 2 (pid 1234 on host x)"
std::string rank_list(const std::vector<int>& ranks);  // "rank 2", "ranks 2, 3 and 7", "ranks 0, 1, ... and 1000 more"

class Writer {
 public:
  Writer& u8(uint8_t value) { return number(value, 1); }
  Writer& u32(uint32_t value) { return number(value, 4); }
  Writer& u64(uint64_t value) { return number(value, 8); }
  Writer& text(std::string_view bytes) {
    u32(static_cast<uint32_t>(bytes.size()));
    out_ += bytes;
    return *this;
  }
  Writer& identity(const Identity& who) { return u32(static_cast<uint32_t>(who.rank)).u32(who.pid).text(who.host); }
  Writer& cause(const Cause& cause);
  Writer& activity(const Activity& activity);
  Writer& departure(const Departure& departure);
  Writer& address(const Address& address);
  Writer& seat(const Seat& seat) { return identity(seat.who).address(seat.address).text(view_of(seat.salt)); }
  const std::string& bytes() const { return out_; }

 private:
  Writer& number(uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out_ += static_cast<char>(value >> (8 * i));
    return *this;
  }
  std::string out_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : in_(bytes) {}
  uint8_t u8() { return static_cast<uint8_t>(number(1)); }
  uint32_t u32() { return static_cast<uint32_t>(number(4)); }
  uint64_t u64() { return number(8); }
  std::string text(size_t limit);
  Identity identity();
  Cause cause();
  Activity activity();
  Departure departure();
  Address address();
  Key key();
  Seat seat();
  // Everything was there. Call it after the last field.
  bool ok() const { return ok_; }

 private:
  uint64_t number(int bytes);
  std::string_view take(size_t bytes);
  std::string_view in_;
  bool ok_ = true;
};

}  // namespace tutti

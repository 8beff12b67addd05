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
  Introduction,  // where rank 0's hub is
  // to either server during join: a Cause, why this rank gives up
  GaveUp,
  // from either server: a Cause. During join: join() fails. Later: the communicator has failed.
  Failure,
  // to the hub
  Member,
  Contribution,
  GatherLate,
  Abort,
  Timeout,
  Mismatch,
  Activity,
  Leave,
  // from the hub
  Welcome,
  Gathered,
  GatherFailed,
  Query,
  Parted,  // the ranks that have left after the most and after the fewest collective calls: to each that leaves, and to all when it changes
  Goodbye,
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
  // Everything was there. Call it after the last field.
  bool ok() const { return ok_; }

 private:
  uint64_t number(int bytes);
  std::string_view take(size_t bytes);
  std::string_view in_;
  bool ok_ = true;
};

}  // namespace tutti

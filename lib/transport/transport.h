// transport: the only door to the wire.
//
// A transport moves numbered messages between the ranks of one communicator. It knows ranks, bytes and message numbers, and
// nothing of schedules. Messages on one lane (peer, channel, direction) are numbered 0, 1, 2, ... (modulo 2^32) by the
// callers, alike on both sides; they may be posted and received in any order within a window, and are never matched by
// arrival. Every call returns at once: Again means "ask again later, nothing has changed".
// One thread at a time uses a transport object; only wake(), expose() and withdraw() may come from another.
//
// What an implementation promises:
//  - a message k can be posted at the latest when all messages before k on its lane have been received and released;
//  - payload written before post() is seen by the reader after receive() says Done (release/acquire);
//  - bounded memory; nothing outside the process is left behind after a crash.
#pragma once
#include <poll.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/settings.h"
#include "lib/base/status.h"
#include "lib/dtype/dtype.h"
#include "lib/topo/file.h"

namespace tutti {

inline constexpr uint8_t kLanes = 4;  // channels of schedules 0..2, point to point 3

enum class Progress : uint8_t { Done, Again, Failed };

inline constexpr size_t kMostMessageBytes = 64 << 20;

// A stamp holds a message's length in bytes and its call's number modulo 2^kCallBits. It is one word, so one comparison checks both.
inline constexpr int kBytesBits = 27, kCallBits = 29;
static_assert(kMostMessageBytes < size_t{1} << kBytesBits);
inline uint64_t stamp_of(uint64_t call, size_t bytes = 0) { return call % (uint64_t{1} << kCallBits) << kBytesBits | bytes; }
inline size_t bytes_of(uint64_t stamp) { return stamp & ((uint64_t{1} << kBytesBits) - 1); }
inline uint32_t call_of(uint64_t stamp) { return static_cast<uint32_t>(stamp >> kBytesBits); }

// Number and channel say which message it is. Call and signature travel with it, and the receiver compares them.
struct Wire {
  uint32_t number;
  uint8_t channel;
  uint64_t call;       // stamp_of() the call's number, with 0 bytes
  uint64_t signature;  // which call it is: operation, type, count (lib/comm/call.h)
};

// A payload on its way to one or more readers of one transport. Owned by the caller, at a stable address until finished: when all
// posts are made and `outstanding` is 0, or quiesce() has returned.
struct Outgoing {
  size_t bytes = 0;
  const std::byte* contiguous = nullptr;  // the payload, if it lies in one piece and goes as it is
  void (*pack)(Outgoing&, Destination to) = nullptr;  // else: writes the payload there; called by a post() that says Done
  uint32_t posts_left = 0;   // post() calls still to come
  uint32_t outstanding = 0;  // accepted posts that still read `contiguous`; counted down by the transport's progress()
  uint64_t handle = 0;       // the transport's own; 0 before the first post
  bool streamed = false;     // its call moves more than the caches hold
};

struct View {
  const std::byte* data = nullptr;
  uint64_t stamp = 0;
  uint64_t signature = 0;
};

// A message that is expected. Owned by the caller, at a stable address from the first offer() or receive() to release().
struct Incoming {
  Wire wire{};
  std::byte* landing = nullptr;  // where it is wanted; the transport may ignore it and show it in place
  uint32_t capacity = 0;
  bool streamed = false;         // its call moves more than the caches hold
  bool fresh = false;            // its sender has just calculated it: it lies in the sender's cache
  bool lent = false;             // what it shows is the sender's own memory: MappedEndpoint::begin() before it is read
  View view;                     // valid from Done to release()
};

// What works only between ranks that reach into each other's memory, because both map it or run in one process.
class MappedEndpoint {
 public:
  explicit MappedEndpoint(size_t least_bytes) : least_bytes_(least_bytes) {}
  // Shorter messages are not worth it: claim() returns null.
  size_t least_bytes() const { return least_bytes_; }
  // Whether the peer can read and write this memory of this rank.
  virtual bool shows(const void* memory) const = 0;
  // Where the reader would like this very message to be written, if it has said so; null if not, or if it cannot be written there
  // now. Otherwise the payload has to be written there at once, and deliver() takes the place of post().
  virtual std::byte* claim(const Wire& wire, size_t bytes) = 0;
  // How it should be written there.
  virtual Way way(size_t bytes) const = 0;
  virtual void deliver(Outgoing& outgoing, const Wire& wire) = 0;
  // To be called for a lent message before its view is read; then the caller reads it without a pause. False: the sender has failed and has
  // taken its memory back.
  virtual bool begin(Incoming& incoming) = 0;

 protected:
  ~MappedEndpoint() = default;

 private:
  const size_t least_bytes_;
};

// A peer. What the caller says of a message (streamed, fresh, contiguous, wanted at a place) are facts; which way the message goes is the
// endpoint's own choice.
class Endpoint {
 public:
  virtual ~Endpoint() = default;
  // Accepts a message. Done: accepted, and the payload is put where the reader wants it, copied, or counted in outgoing.outstanding.
  virtual Progress post(Outgoing& outgoing, const Wire& wire) = 0;
  virtual Progress receive(Incoming& incoming) = 0;
  // Called once, before the first receive(). From now on the sender may write the message to its landing.
  virtual void offer(Incoming&) {}
  // The view is used no more.
  virtual void release(Incoming& incoming) = 0;
  // Why post() or receive() returned Failed.
  virtual Status failure() const { return {}; }
  // Null: the peer does not map this rank's memory.
  virtual MappedEndpoint* mapped() { return nullptr; }
};

// What reaching a peer costs; the cheapest transport is used per pair.
struct Reach {
  bool reachable = false;
  double latency_s = 0, bandwidth_Bps = 0;
  bool memory = false;  // a payload is written once, however many peers read it
};

// A message that was sent and will never be received, because its receiver has left.
struct Untaken {
  int sender, receiver;
  Wire wire;
};

inline constexpr int64_t kLongSleepNs = 50'000'000;  // a sleeping rank looks at flags and deadlines at least this often

class Transport {
 public:
  virtual ~Transport() = default;
  virtual const char* name() const = 0;
  // True if received messages need Incoming::landing.
  virtual bool lands() const { return false; }
  // True if post() copies a payload to be packed before it says Done, so that it may as well be made where the copy goes.
  virtual bool copies() const { return false; }

  // Start-up, in this order, by all ranks: address() is published to all; connect() gets everyone's. It may block until the
  // deadline, or until shortly after TransportOptions::cancel is set; it then fails. A rank that does not have this transport has the address
  // "". Afterwards reach() and endpoint() answer for every rank, this one included. reach() is the same at both ranks of a pair.
  virtual Result<std::string> address() = 0;
  virtual Status connect(std::span<const std::string> addresses, Deadline deadline) = 0;
  virtual Reach reach(int peer) const = 0;
  virtual Endpoint& endpoint(int peer) = 0;

  // Memory from which messages will be sent, and into which they will be received, until it is withdrawn. The transport may register it with
  // a device, or do nothing. Any thread.
  virtual void expose(std::span<std::byte> /*memory*/) {}
  virtual void withdraw(std::span<std::byte> /*memory*/) {}

  // Moves things along; cheap when there is nothing to do.
  virtual void progress() {}
  // To wait without a core, for any number of transports at once: arm() all; look once more at everything that is awaited; if nothing
  // has moved, poll() the descriptors of all, no longer than each may_sleep() says; disarm() all. What arrives after arm() makes one of the
  // descriptors readable, or may_sleep() return 0.
  virtual void arm() {}
  virtual int64_t may_sleep() { return kLongSleepNs; }
  virtual void add_descriptors(std::vector<pollfd>& /*polls*/) const {}
  virtual void disarm() {}
  // Makes a descriptor readable once. Any thread.
  virtual void wake() {}
  // Done: every message accepted by post() will reach its reader if the reader looks for it, though this rank makes no call. A call
  // ends only then. Failed: one will not; the failure() of its reader's endpoint says why.
  virtual Progress flushed() { return Progress::Done; }
  // At the end, when all went well: returns when that is so even if this process ends right after; at the deadline at the latest,
  // or soon after TransportOptions::cancel is set. Errors: a rank that has not taken what was sent to it.
  // Adds to `untaken` the first message of each lane that this rank has not received, or that this rank sent to a rank that has left without
  // receiving it. Of sender and receiver at least the one that leaves later sees it.
  virtual Status leave(Deadline, std::vector<Untaken>& /*untaken*/) { return {}; }
  // After a failure, or at the end. When it returns, no peer and no device reads or writes memory that was handed to this transport.
  // One exception: a peer that was stopped (SIGSTOP) while it read may read on, for an operation that has failed.
  virtual void quiesce() {}
};

struct TransportOptions {
  int rank, ranks;
  size_t largest_message;  // bytes of the longest message; kMostMessageBytes at most
  const Settings& settings;
  // Set by another thread when the communicator has failed (a rank has died, the caller aborts): connect() then returns a
  // failure soon, within a tenth of a second. Outlives the transport.
  const std::atomic<bool>& cancel;
  std::span<const Cluster::Nic> nics = {};  // what the topology file says of this host's; faster ones carry more
};

struct TransportKind {
  const char* name;
  const char* help;
  Result<std::unique_ptr<Transport>> (*create)(const TransportOptions& options);
  bool one_host = false;  // it reaches ranks of the same host only, and these must have it unless TUTTI_TRANSPORTS leaves it out
};
// Every transport compiled in, cheapest first. (transports/registry.cc)
std::span<const TransportKind> all_transports();

}  // namespace tutti

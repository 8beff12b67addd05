// endpoint: a peer over UCX: the lanes to and from it, and its connections, one for each rail, made when first needed.
//
// A message travels in pieces, each a UCP active message behind a Header, over the rail that its number says. At the sender, message k
// may go when message k - 64 (k - 32 if it is long) has been released. The peer sends a credit, which tells how far it has come, whenever a
// multiple of kCreditEvery has been released on a lane, and a last one when it leaves. So a rank that leaves knows which credits are still
// to come.
// At the receiver a message gathers in the slot number % 64 of its lane: straight where its reader wants it, if that is known when
// the first piece comes, else in memory of the transport, or of UCX.
// UCX could cut messages itself, or announce long ones and have them fetched (its rendezvous). Pieces of our own need neither memory
// in between nor a round trip, and over TCP, where UCX copies in either case, they take the least of the processor's time.
// A broken connection fails what still needs it, but only after kVerdictNs: until then the control plane may say why it broke, and
// who is to blame; that is rarely the peer that hung up because it had failed, too.
#pragma once
#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "lib/transport/transport.h"
#include "transports/ucx/blocks.h"
#include "transports/ucx/rail.h"

namespace tutti::ucx {

inline constexpr uint32_t kWindow = 64;       // messages of a lane on their way
inline constexpr uint32_t kLongWindow = 32;   // the same for long ones, which take memory
inline constexpr size_t kLongBytes = 8192;
inline constexpr size_t kPieceBytes = 32768;
inline constexpr uint32_t kCreditEvery = 16;
inline constexpr size_t kLeastSocketBytes = 16384, kAroundBytes = 128;
inline constexpr int64_t kVerdictNs = 1'500'000'000;
inline constexpr int64_t kPatienceNs = 1'000'000'000;
static_assert(kCreditEvery <= kLongWindow && kLongWindow <= kWindow);

class UcxEndpoint;
struct Sending;

// A connection to a peer.
//
// UCX reports a short message as sent even if the socket was full and part of it is still in this process. That part stays until UCX is
// called again, which may be late. So at the end of a call, if more is on its way than the smallest socket holds, an empty message, the
// marker, is sent. When UCX accepts it, all before it has left. (UCX's flush would wait for an answer of the peer, which may make no call.)
struct Link {
  UcxEndpoint* owner = nullptr;
  uint32_t rail = 0;
  ucp_ep_h ep = nullptr;     // null: not made yet
  bool unmarked = false;     // messages have been sent since the last marker
  bool lost = false;         // a message that was accepted could not be sent
  uint64_t unacked = 0;      // bytes sent that the peer is not known to have released
  bool at_once = false;      // UCX is to send a message at once or refuse it; see UcxEndpoint::hand_over()
  size_t taken_bytes = 0;    // the longest message that UCX has sent at once
  int64_t patient_until_ns = 0;  // UCX gets until then to take the first message; INT64_MAX once it has
  Sending *first_waiting = nullptr, *last_waiting = nullptr;  // messages that UCX has refused, in order
  ucs_status_t broken = UCS_OK;
  int64_t broken_at_ns = 0;

  void breaks(ucs_status_t why) noexcept;
};

// A message that UCX is sending, or that waits in its link.
struct Sending {
  Header header;
  const std::byte* data = nullptr;
  size_t bytes = 0;
  Sending* next = nullptr;       // the next that waits in the link
  Outgoing* outgoing = nullptr;  // whose memory is read
  Block* block = nullptr;        // or a packed payload
  Link* link = nullptr;
  struct Common* common = nullptr;
  MessageId id = kMessage;       // a call does not wait for a credit
};

// What the endpoints of a rank share.
struct Common {
  explicit Common(size_t largest_message) : blocks(largest_message) {}
  int rank = 0;
  std::vector<std::unique_ptr<Rail>> rails;
  Blocks blocks;
  std::deque<Sending> sendings;  // addresses stay
  std::vector<Sending*> idle;    // those not in use
  std::vector<Link*> used;       // in this call
  std::vector<Link*> waiting;    // links in which messages wait
  size_t connections = 0;        // made so far: `waiting` has room for so many
  uint32_t pending = 0;          // messages and markers that UCX has not sent
  uint32_t outstanding = 0;      // sends under way that read the user's memory

  Sending* take() {
    if (idle.empty()) {
      idle.reserve(sendings.size() + sendings.size() / 2 + 1);  // so that give_back() allocates nothing
      idle.push_back(&sendings.emplace_back());
    }
    Sending* const sending = idle.back();
    idle.pop_back();
    return sending;
  }
  void give_back(Sending* sending) noexcept;
  // Offers the waiting messages to UCX.
  void send_waiting();
};

class UcxEndpoint final : public Endpoint {
 public:
  // addresses: of the peer's workers, by rail. deal: of the messages between the two.
  void open(Common& common, int peer, uint32_t peer_token, bool in_process, std::vector<std::string> addresses,
            const Deal& deal);

  Progress post(Outgoing& outgoing, const Wire& wire) override;
  Progress receive(Incoming& incoming) override;
  void release(Incoming& incoming) override;
  Status failure() const override { return failure_; }

  // Offers the messages that wait in this link to UCX. False: some still wait.
  static bool send_waiting(Link& link);

  // What has come for this rank; see Receiver. Only as long as Incomings and their landings are there.
  ucs_status_t arrive(uint32_t rail, const Header& header, void* data, size_t bytes, uint64_t attributes) noexcept;
  void credit(const Header& header) noexcept;

  // Sends a marker if there is need for one.
  void mark(Link& link);
  // Whether something that was to go over this link is known not to have gone: Again and Failed, as verdict().
  Progress lost(const Link& link) { return link.lost ? verdict(link) : Progress::Done; }

  bool in_process() const { return in_process_; }
  // A connection that broke, or null.
  const Link* broken() const;
  // Sends the last credits, marked as final, if this rank has a connection to the peer.
  void settle();
  // Adds the first message of each lane that nobody has received.
  void add_untaken(std::vector<Untaken>& untaken) const;
  // Whether credits are still to come for what has been sent, whatever the peer does; and the last ones, when it leaves.
  bool credits_due() const;
  bool last_credits_due() const;
  // Sent, and not known to have been released.
  uint64_t unacked_bytes() const;
  // Gives back what UCX keeps for this endpoint. Before the workers go.
  void drop_messages();

 private:
  struct Slot {
    enum class State : uint8_t { Empty, Gathers, Here } state = State::Empty;
    Link* link = nullptr;              // by which it came
    const Incoming* reader = nullptr;  // who has asked for it, while it was not here
    uint64_t signature = 0;
    uint32_t call = 0;
    size_t bytes = 0, gathered = 0;
    std::byte* to = nullptr;           // Gathers
    const std::byte* data = nullptr;   // Here
    void* descriptor = nullptr;        // UCX's, to be given back
    Block* block = nullptr;
    std::byte little[128];             // a short payload
  };
  struct Inbound {
    uint32_t base = 0;       // all before it are released
    uint64_t released = 0;   // bit i: base + i is
    Slot slots[kWindow];
  };
  struct Outbound {
    struct Sent {
      uint32_t bytes;  // with headers
      uint32_t call;
      uint64_t signature;
    };
    uint32_t told = 0;       // all before it are released, as far as is known
    uint32_t next = 0;       // after the last message posted
    bool final = false;      // the peer has left and releases nothing more
    Sent sent[kWindow] = {};
  };

  Inbound& inbound(uint8_t channel) {
    if (!inbound_[channel]) inbound_[channel] = std::make_unique<Inbound>();
    return *inbound_[channel];
  }
  Link& link_of(uint32_t number) { return links_[deal_[number % kDeal]]; }
  bool connect(Link& link);
  Progress verdict(const Link& link);
  bool send(Link& link, MessageId id, Sending* sending, const std::byte* data, size_t bytes);
  static Progress hand_over(Sending* sending);
  static bool sends_marker(const Link& link);
  static bool takes_at_once(Link& link, size_t bytes);
  bool send_piece(Link& link, const Header& header, Outgoing& outgoing, const std::byte* data);
  ucs_status_t take_in(uint32_t rail, const Header& header, void* data, size_t bytes, uint64_t attributes);
  void gather(Slot& slot, Link& link, const Header& header);
  void empty(Slot& slot);
  void tell(uint8_t channel, bool final);
  static void on_sent(void* request, ucs_status_t status, void* sending) noexcept;
  static void on_broken(void* link, ucp_ep_h ep, ucs_status_t status) noexcept;

  Common* common_ = nullptr;
  int peer_ = -1;
  uint32_t peer_token_ = 0;
  bool in_process_ = false;
  bool heard_ = false;  // something has come: the peer has connected
  std::vector<std::string> addresses_;
  std::vector<Link> links_;
  Deal deal_{};
  std::array<std::unique_ptr<Inbound>, kLanes> inbound_;
  std::array<Outbound, kLanes> outbound_;
  Status failure_;
};

}  // namespace tutti::ucx

// hub: see hub.h.
//
// Gathering holds two blobs per rank at most: nobody contributes to round k+1 before having received all of round k, so when
// k+1 is complete, k has been handed out. To each rank the blobs of a round go out in pieces, no faster than it reads.
#include "lib/boot/hub.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "lib/base/clock.h"
#include "lib/base/log.h"

namespace tutti {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr int64_t kAnswerNs = 1'000'000'000;
// All ranks were alive when the rendezvous introduced them; from rank 0's coming on the rest gets this much time to connect.
constexpr int64_t kConnectNs = 30'000'000'000;
constexpr size_t kPileBytes = 256 * 1024;  // of unsent gathered blobs per rank

class Hub final : public Service {
 public:
  Hub(int ranks, int64_t left_ns) : deadline_ns_(now_ns() + left_ns), members_(static_cast<size_t>(ranks)) {
    members_[0].who = own_identity(0);
  }

  void on_frame(Peer& peer, const Frame& frame) override;
  void on_closed(Peer& peer) override;
  void on_clock(int64_t now) override;
  int64_t wake_ns() const override { return std::min(deadline_ns_, inquiry_end_ns_); }
  void on_stop(bool in_peace) override;
  void on_exhausted(const Status& status) override {
    spread({status.code(), 0, concat("rank 0's hub failed: ", status.text())});
  }
  bool accepting() const override { return !welcomed_; }
  bool finished() const override { return finished_; }

 private:
  struct Member {
    Peer* peer = nullptr;  // null: has not come, or is gone
    Identity who;
    bool left = false;
    uint64_t calls = 0;  // collective calls that it had made when it left; 0 if the communicator had failed on it
    Answer departed() const {
      Answer answer{.kind = Answer::Kind::Left};
      answer.activity.entered = calls;
      return answer;
    }
    std::optional<std::string> contribution;  // to the round that is being collected
    std::string gathered;                     // of the round that is being handed out
    size_t handed = 0;                        // ranks whose blobs this one has been sent
    Answer answer;
  };
  int ranks() const { return static_cast<int>(members_.size()); }
  Member& of(const Peer& peer) { return members_[static_cast<size_t>(peer.rank)]; }
  void admit(Peer& peer, const Frame& frame);
  void part(Member& member, const Frame& frame);
  void welcome();
  void contribute(Peer& peer, const Frame& frame);
  void finish_round();
  void hand_out(Member& member);
  void blame_late(const Frame& frame);
  void take_timeout(const Frame& frame);
  void take_mismatch(const Frame& frame);
  void begin_inquiry(Inquiry inquiry);
  void ask();
  void take_answer(Member& member, const Frame& frame);
  void end_inquiry();
  void spread(const Cause& cause);
  void send_all(Kind kind, const std::string& payload);

  const uint32_t number_ = next_comm_number();
  int64_t deadline_ns_;  // of joining; kNever afterwards
  bool welcomed_ = false, finished_ = false;
  std::optional<Cause> failure_;
  std::vector<Member> members_;
  int present_ = 0;
  uint32_t round_ = 1;  // being collected; the one before is being handed out
  int contributions_ = 0;
  std::optional<Inquiry> inquiry_;
  int64_t inquiry_end_ns_ = kNever;
  int unanswered_ = 0;
  std::optional<Departure> most_, fewest_;  // the ranks that have left after the most and after the fewest collective calls
};

void Hub::send_all(Kind kind, const std::string& payload) {
  for (Member& member : members_)
    if (member.peer && !member.left) member.peer->connection.send(kind, payload);
}

void Hub::spread(const Cause& cause) {
  if (failure_) return;
  failure_ = cause;
  deadline_ns_ = inquiry_end_ns_ = kNever;
  inquiry_.reset();
  log_info(0, "failure: ", cause.text);
  send_all(Kind::Failure, Writer().cause(cause).bytes());
}

void Hub::on_frame(Peer& peer, const Frame& frame) {
  if (peer.rank < 0) return admit(peer, frame);
  Member& member = of(peer);
  if (frame.kind == Kind::Leave) {
    member.left = true;
    part(member, frame);
    if (inquiry_ && member.answer.kind == Answer::Kind::Silent) {
      member.answer = member.departed();
      --unanswered_;
    }
    if (contributions_ > 0) finish_round();
    return;
  }
  if (failure_ || member.left) return;
  switch (frame.kind) {
    case Kind::Contribution: return contribute(peer, frame);
    case Kind::GatherLate: return blame_late(frame);
    case Kind::Timeout: return take_timeout(frame);
    case Kind::Mismatch: return take_mismatch(frame);
    case Kind::Activity: return take_answer(member, frame);
    case Kind::Abort:
    case Kind::GaveUp: return spread(Reader(frame.payload).cause());
    default:
      return spread({Code::InternalError, peer.rank, concat(to_text(member.who), " sent a message that makes no sense")});
  }
}

// Notes how many calls a leaving rank has made. Tells that rank, and the others if it has made the most or the fewest.
void Hub::part(Member& member, const Frame& frame) {
  Reader in(frame.payload);
  const bool known = in.u32() != 0;
  Departure one = in.departure();
  one.rank = member.peer->rank;
  if (!known || !in.ok()) return;  // the communicator has failed on this rank, so its calls are not compared
  member.calls = one.calls;
  const bool is_most = !most_ || one.calls > most_->calls, is_fewest = !fewest_ || one.calls < fewest_->calls;
  if (is_most) most_ = one;
  if (is_fewest) fewest_ = one;
  const std::string payload = Writer().departure(*most_).departure(*fewest_).bytes();
  member.peer->connection.send(Kind::Parted, payload);
  if ((is_most || is_fewest) && !failure_) send_all(Kind::Parted, payload);
}

void Hub::admit(Peer& peer, const Frame& frame) {
  Reader in(frame.payload);
  const Identity who = in.identity();
  if (frame.kind != Kind::Member || !in.ok() || who.rank < 0 || who.rank >= ranks() ||
      members_[static_cast<size_t>(who.rank)].peer) {
    peer.unwanted = true;
    return;
  }
  peer.rank = who.rank;
  Member& member = of(peer);
  member.peer = &peer;
  member.who = who;
  if (failure_) return peer.connection.send(Kind::Failure, Writer().cause(*failure_).bytes());
  if (who.rank == 0) deadline_ns_ = std::min(deadline_ns_, now_ns() + kConnectNs);
  if (++present_ == ranks()) welcome();
}

void Hub::welcome() {
  welcomed_ = true;
  deadline_ns_ = kNever;
  send_all(Kind::Welcome, Writer().identity(members_[0].who).u32(number_).bytes());
}

void Hub::on_closed(Peer& peer) {
  if (peer.rank < 0) return;
  Member& member = of(peer);
  member.peer = nullptr;
  if (member.left) return;
  const bool lost = peer.connection.link() == Connection::Link::Lost;
  spread({Code::RemoteError, peer.rank,
          concat(to_text(member.who), lost ? lost_text() : " died: its control connection closed")});
}

void Hub::on_clock(int64_t now) {
  if (inquiry_ && (unanswered_ == 0 || now >= inquiry_end_ns_)) end_inquiry();
  if (now >= deadline_ns_) {
    std::vector<int> missing;
    for (int rank = 0; rank < ranks(); ++rank)
      if (!members_[static_cast<size_t>(rank)].peer) missing.push_back(rank);
    spread({Code::RemoteError, missing.front(),
            concat(rank_list(missing), " came to the rendezvous, but not to rank 0's hub")});
  }
  for (Member& member : members_) hand_out(member);
}

void Hub::on_stop(bool in_peace) {
  if (in_peace)
    send_all(Kind::Goodbye, "");
  else
    spread({Code::RemoteError, 0, concat(to_text(members_[0].who), " gave up the communicator")});
  finished_ = true;
}

void Hub::contribute(Peer& peer, const Frame& frame) {
  Reader in(frame.payload);
  const uint32_t round = in.u32();
  std::string blob = in.text(kMaxBlobBytes);
  Member& member = of(peer);
  if (!in.ok() || round != round_ || member.contribution)
    return spread({Code::InternalError, peer.rank, concat(to_text(member.who), " broke the order of the exchange")});
  member.contribution = std::move(blob);
  ++contributions_;
  finish_round();
}

// Hands the round out if it is complete; fails it if it can never be.
void Hub::finish_round() {
  if (contributions_ == ranks()) {
    for (Member& member : members_) {
      member.gathered = std::move(*member.contribution);
      member.contribution.reset();
      member.handed = 0;
    }
    contributions_ = 0;
    ++round_;
    return;
  }
  const auto gone =
      std::find_if(members_.begin(), members_.end(), [](const Member& m) { return m.left && !m.contribution; });
  if (gone == members_.end()) return;
  const std::string payload =
      Writer().cause({Code::InvalidUsage, gone->who.rank, concat(to_text(gone->who), " has left the communicator")}).bytes();
  for (Member& member : members_)
    if (member.contribution && member.peer && !member.left) member.peer->connection.send(Kind::GatherFailed, payload);
}

void Hub::hand_out(Member& member) {
  if (round_ == 1 || !member.peer || member.left || failure_) return;
  Connection& connection = member.peer->connection;
  while (member.handed < members_.size()) {
    // What then stays unsent makes the server wait for room, and come back here.
    if (connection.unsent_bytes() >= kPileBytes) connection.write_some();
    if (connection.unsent_bytes() >= kPileBytes) return;
    const size_t first = member.handed;
    size_t bytes = 0, end = first;
    while (end < members_.size() && (end == first || bytes + members_[end].gathered.size() + 4 <= kMaxBlobBytes))
      bytes += members_[end++].gathered.size() + 4;
    Writer out;
    out.u32(round_ - 1).u32(static_cast<uint32_t>(first)).u32(static_cast<uint32_t>(end - first));
    for (size_t rank = first; rank < end; ++rank) out.text(members_[rank].gathered);
    connection.send(Kind::Gathered, out.bytes());
    member.handed = end;
  }
}

void Hub::blame_late(const Frame& frame) {
  Reader in(frame.payload);
  const uint32_t round = in.u32();
  const std::string what = in.text(kMaxTextBytes);
  if (round != round_) return;  // it has just been completed: the answer is on its way
  Inquiry inquiry{0, {}, concat(what, " did not finish in time"), true};
  for (int rank = 0; rank < ranks(); ++rank)
    if (!members_[static_cast<size_t>(rank)].contribution) inquiry.suspects.push_back(rank);
  begin_inquiry(std::move(inquiry));
}

void Hub::take_timeout(const Frame& frame) {
  Reader in(frame.payload);
  Inquiry inquiry{};
  inquiry.entered = in.u64();
  const uint32_t count = in.u32();
  for (uint32_t i = 0; i < count && in.ok(); ++i) inquiry.suspects.push_back(static_cast<int>(in.u32()));
  inquiry.text = in.text(kMaxTextBytes);
  begin_inquiry(std::move(inquiry));
}

void Hub::take_mismatch(const Frame& frame) {
  Reader in(frame.payload);
  Inquiry inquiry{};
  inquiry.number = in.u64();
  inquiry.text = in.text(kMaxTextBytes);
  inquiry.seen = in.cause();
  begin_inquiry(std::move(inquiry));
}

// Asks all ranks what they are doing.
void Hub::ask() {
  unanswered_ = 0;
  for (Member& member : members_) {
    member.answer = {};
    if (member.left)
      member.answer = member.departed();
    else
      ++unanswered_;
  }
  send_all(Kind::Query, Writer().u64(inquiry_->asks_for()).bytes());
}

void Hub::begin_inquiry(Inquiry inquiry) {
  if (inquiry_) return;
  inquiry_ = std::move(inquiry);
  inquiry_end_ns_ = now_ns() + kAnswerNs;  // also for a second question
  ask();
}

void Hub::take_answer(Member& member, const Frame& frame) {
  if (!inquiry_ || member.answer.kind != Answer::Kind::Silent) return;
  Reader in(frame.payload);
  member.answer = {Answer::Kind::Given, in.activity()};
  --unanswered_;
}

void Hub::end_inquiry() {
  std::vector<Answer> answers;
  for (const Member& member : members_) answers.push_back(member.answer);
  if (const std::optional<uint64_t> stuck = stuck_collective(*inquiry_, answers)) {
    inquiry_->stuck = *stuck;
    return ask();
  }
  spread(conclude(*inquiry_, answers));
}

}  // namespace

uint32_t next_comm_number() {
  static std::atomic<uint32_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

Result<std::unique_ptr<Server>> make_hub(Descriptor listener, const Key& key, int ranks, int64_t left_ns) {
  return Server::make(std::move(listener), key, std::make_unique<Hub>(ranks, left_ns));
}

}  // namespace tutti

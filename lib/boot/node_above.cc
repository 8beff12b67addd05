// node_above: the way to the root: the parent, and finding another one; see node.h.
//
// While a rank looks for another parent it keeps the old one, which waits for Moved. Messages sent meanwhile reach the root through the old
// parent, or are sent again to the new one.
#include <algorithm>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/boot/node.h"
#include "lib/boot/unique_id.h"

namespace tutti {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSilentNs = 2000 * kMs;  // without a word from the parent, when it was asked for one
constexpr int64_t kOwnAnswerNs = 2500 * kMs;
constexpr int64_t kPingNs = 500 * kMs;
constexpr int64_t kSeekAgainNs = 20 * kMs;
constexpr int64_t kPartNs = 1000 * kMs;
constexpr int kRefusals = 3;
constexpr size_t kMostOpen = 16;
constexpr size_t kMostEarly = 4 * kMaxRanks;  // each rank below says Member, and may add a failure

bool is_question(Kind kind) {
  return kind == Kind::Abort || kind == Kind::Timeout || kind == Kind::Mismatch || kind == Kind::GatherLate;
}

}  // namespace

void Node::rise(Kind kind, const std::string& payload) {
  if (kind == Kind::Call) note_call();
  if (root_) {
    if (!handing_over_) root_->take(kind, payload);
    return;
  }
  if (!placed_) {
    if (early_.size() < kMostEarly) early_.push_back({kind, payload});
    return;
  }
  if (!parent_) return;  // it is repeated when there is a parent
  parent_->connection.send(kind, payload);
  if (!is_question(kind) || failure_) return;
  if (!question_) question_ = {kind, payload};
  if (parent_->pong_due_ns != kNever) return;
  parent_->connection.send(Kind::Ping, "");
  parent_->pong_due_ns = now_ns() + kSilentNs;
}

// Nothing but leaving has to be settled after a failure. An honest rank has few messages open.
void Node::rise_until_settled(Kind kind, std::string payload) {
  if (kind != Kind::Leave && (failure_ || open_.size() >= kMostOpen)) return;
  if (is_question(kind)) answer_by_ns_ = std::min(answer_by_ns_, now_ns() + kOwnAnswerNs);
  open_.push_back({kind, payload});
  rise(kind, payload);
}

// The way to the root has changed.
void Node::repeat() {
  for (const Order& order : std::vector<Order>(open_)) rise(order.kind, order.payload);
  mourn_vanished();
  repeat_generation();
  forward(Kind::Repeat, "");
}

void Node::settle_gather() {
  std::erase_if(open_, [](const Order& order) { return order.kind == Kind::GatherLate; });
  if (question_ && question_->kind == Kind::GatherLate) question_.reset();
  if (std::none_of(open_.begin(), open_.end(), [](const Order& order) { return is_question(order.kind); })) answer_by_ns_ = kNever;
}

std::string Node::died() const { return concat(welcomed_ ? " died: " : kEnded, "its control connection closed"); }

// A rank has died. The root decides whether that is the first failure.
void Node::mourn(const Identity& who, const std::string& how) {
  rise(Kind::Gone, Writer().u32(static_cast<uint32_t>(who.rank)).bytes());
  if (failure_) return;
  const Cause cause{Code::RemoteError, who.rank, concat(to_text(who), how)};
  if (root_) return take_failure(cause, false);
  rise_until_settled(Kind::Abort, Writer().cause(cause).bytes());
}

void Node::read_parent() {
  if (!parent_) return;
  parent_->connection.read_some();
  while (parent_) {
    const std::optional<Frame> frame = parent_->connection.next();
    if (!frame) break;
    parent_->pong_due_ns = kNever;
    hear_parent(*frame);
  }
  if (parent_ && parent_->connection.link() != Connection::Link::Open) lose_parent();
}

void Node::hear_parent(const Frame& frame) {
  if (frame.kind == Kind::Pong) return;
  if (frame.kind == Kind::Moved) return release_parent();
  if (frame.kind != Kind::Goodbye) return descend(frame.kind, frame.payload);
  parent_->goodbye = true;
  roster_.set(parent_->rank, Presence::Left);
  seek_or_stay();
}

// The parent does not stay. After a failure, or when this rank has left and nobody depends on it, it needs none. While its children look for
// another parent it keeps this one, so that no root goes that they may still ask.
void Node::seek_or_stay() {
  const bool needed = regenerating_ || decided_;
  if ((failure_ && !needed) || (acknowledged_ && alone())) return release_parent();
  if (told_ && parent_) return;
  seeking_ = true;
  seek_at_ns_ = 0;
}

void Node::lose_parent() {
  const Connection::Link link = parent_->connection.link();
  const int rank = parent_->rank;
  const bool goodbye = parent_->goodbye;
  parent_.reset();
  if (goodbye) return;
  if (!roster_.here(rank)) return seek_or_stay();
  roster_.set(rank, Presence::Dead);
  if (failure_) return seek_or_stay();
  const std::string how = link == Connection::Link::Forged ? ": a message on its control connection was not authentic"
                          : link == Connection::Link::Lost ? lost_text()
                                                           : died();
  const Cause cause{Code::RemoteError, rank, concat(to_text(roster_.who(rank)), how)};
  if (!welcomed_ && rank != 0 && !failure_) return ask_root(cause);
  take_failure(cause, false);
}

// While the ranks join, a parent may end because the root has died. Its children do not know of that yet.
void Node::ask_root(const Cause& cause) {
  orphaned_ = cause;
  ask(0, false);
}

void Node::release_parent(Kind word) {
  if (!parent_) return;
  parent_->connection.send(word, "");
  parting_.push_back({std::move(parent_->connection), now_ns() + kPartNs});
  parent_.reset();
}

// What to believe if `silent` does not answer.
Cause Node::cause_if_silent(const Order& question, int silent) const {
  Reader in(question.payload);
  if (question.kind == Kind::Abort || question.kind == Kind::Mismatch) return in.cause();
  if (question.kind == Kind::GatherLate) (void)in.u32();
  const std::string what = in.text(kMaxTextBytes), late = question.kind == Kind::GatherLate ? " did not finish in time" : "";
  return {Code::RemoteError, silent, concat(what, late, ": ", to_text(roster_.who(silent)), " does not answer (stopped or swapped out?)")};
}

void Node::watch_parent(int64_t now) {
  if (now >= answer_by_ns_) {
    answer_by_ns_ = kNever;
    const auto own = std::find_if(open_.begin(), open_.end(), [](const Order& order) { return is_question(order.kind); });
    const int root = roster_.first_before(rank_);
    if (own != open_.end()) take_failure(cause_if_silent(*own, next_ ? next_->rank : root >= 0 ? root : parent_ ? parent_->rank : rank_), false);
  }
  if (parent_ && regenerating_ && now >= ping_at_ns_ && parent_->pong_due_ns == kNever) {
    parent_->connection.send(Kind::Ping, "");
    parent_->pong_due_ns = now + kSilentNs;
    ping_at_ns_ = now + kPingNs;
  }
  if (!parent_ || now < parent_->pong_due_ns) return;
  parent_->pong_due_ns = kNever;
  const int silent = parent_->rank;
  if (question_) take_failure(cause_if_silent(*question_, silent), false);
  // Others can hear of it on another way.
  roster_.set(silent, Presence::Silent);
  release_parent(Kind::Shunned);
  seeking_ = welcomed_;
  seek_at_ns_ = now;
}

void Node::seek(int64_t now) {
  if (next_ || now < seek_at_ns_) return;
  const int to = roster_.first_before(rank_);
  if (to < 0) return become_root();
  if (to != sought_) refusals_ = 0;
  sought_ = to;
  ask(to, false);
}

void Node::ask(int rank, bool referred) {
  const Seat& seat = roster_.seat(rank);
  next_.emplace(Next{rank, now_ns(), referred, {}, {}});
  next_->dial.emplace(seat.address, node_key(secret_, seat.salt));
  read_next();
}

// The ranks that agree on a next generation do not wait for one that has stopped.
void Node::give_up_next(int64_t now) {
  if (!next_ || !failure_ || now < next_->since_ns + kSilentNs) return;
  roster_.set(next_->rank, Presence::Silent);
  next_.reset();
  seek_at_ns_ = now;
}

// The next parent may have adopted this rank without its knowing. A rank that leaves must not be taken for dead there.
void Node::take_leave_of_next(const Deadline& deadline) {
  if (leaving_ && next_ && next_->connection) {
    for (const Order& order : open_)
      if (order.kind == Kind::Leave) next_->connection->send(order.kind, order.payload);
    next_->connection->send(Kind::Moved, "");
    close_gently(*next_->connection, deadline);
  }
  next_.reset();
}

// A rank that does not listen any more has died, or has left and did not wait until this rank knew. The next parent knows which.
void Node::dial_failed(Dial::State state) {
  const int rank = next_->rank;
  const bool referred = next_->referred;
  next_.reset();
  if (!welcomed_) return take_failure({Code::RemoteError, rank, concat(to_text(roster_.who(rank)), died())}, false);
  const int64_t now = now_ns();
  seek_at_ns_ = now + kSeekAgainNs;
  const bool refused = state == Dial::State::Refused || state == Dial::State::Lost;
  if (referred || !refused || ++refusals_ < kRefusals || !roster_.here(rank)) return;
  roster_.set(rank, Presence::Dead);
  seek_at_ns_ = now;
  vanished_.push_back({rank, state == Dial::State::Lost ? lost_text() : died()});
}

// Ranks that were not there when this one looked for a parent. Word that they leave may still be on its way here: the root knows.
void Node::mourn_vanished() {
  std::erase_if(vanished_, [&](const auto& one) { return roster_.presence(one.first) != Presence::Dead; });
  for (const auto& [rank, how] : std::vector(vanished_)) {
    rise(Kind::Gone, Writer().u32(static_cast<uint32_t>(rank)).bytes());
    if (!failure_) rise(Kind::Vanished, Writer().cause({Code::RemoteError, rank, concat(to_text(roster_.who(rank)), how)}).bytes());
  }
}

void Node::read_next() {
  if (next_ && next_->dial) {
    const Dial::State state = next_->dial->advance();
    if (state == Dial::State::Pending) return;
    if (state != Dial::State::Ready) return dial_failed(state);
    next_->connection.emplace(next_->dial->take());
    next_->dial.reset();
    if (!welcomed_) {
      next_->connection->send(Kind::Member, Writer().identity(own_identity(rank_)).bytes());
      settle_with_next();
      return rise_until_settled(Kind::Abort, Writer().cause(*orphaned_).bytes());
    }
    const Cause cause = failure_.value_or(Cause{Code::InternalError, -1, ""});
    next_->connection->send(Kind::Attach, Writer().u32(static_cast<uint32_t>(rank_)).u32(failure_.has_value()).cause(cause).bytes());
    next_->connection->write_some();
  }
  if (!next_) return;
  next_->connection->read_some();
  while (const std::optional<Frame> frame = next_->connection->next()) {
    if (frame->kind == Kind::Adopted) return settle_with_next();
    if (frame->kind == Kind::Refer) {
      const int other = static_cast<int>(Reader(frame->payload).u32());
      if (welcomed_ && roster_.has(other) && roster_.before(other, rank_)) return ask(other, true);
      break;
    }
    descend(frame->kind, frame->payload);
  }
  if (next_->connection->link() != Connection::Link::Open) dial_failed(Dial::State::Broken);
}

void Node::settle_with_next() {
  seeking_ = false;
  release_parent();
  parent_.emplace(Parent{std::move(*next_->connection), next_->rank});
  next_.reset();
  repeat();
  read_parent();
}

void Node::become_root() {
  seeking_ = false;
  if (parent_ && parent_->goodbye) {
    parent_->connection.send(Kind::Succeeds, "");
    predecessor_.emplace(std::move(parent_->connection));
    parent_.reset();
  }
  release_parent();
  log_info(rank_, "this rank is the root of the control plane now");
  root_.emplace(roster_, *this, broken_, rank_, Agreement(roster_, *this, rank_, control_.make_id(), decided_));
  if (failure_) root_->end_questions();
  repeat();
}

// The root before this one may still hear of the death of a child that is on its way here, or have told that a rank leaves.
void Node::read_predecessor() {
  if (!predecessor_) return;
  predecessor_->read_some();
  bool ended = false;
  while (const std::optional<Frame> frame = predecessor_->next()) {
    ended = ended || frame->kind == Kind::Moved;
    if (frame->kind == Kind::Failure) take_failure(Reader(frame->payload).cause(), false);
    if (frame->kind == Kind::Left) take_left(frame->payload);
  }
  if (ended) {
    predecessor_->send(Kind::Moved, "");
    parting_.push_back({std::move(*predecessor_), now_ns() + kPartNs});
  }
  if (ended || predecessor_->link() != Connection::Link::Open) predecessor_.reset();
}

}  // namespace tutti

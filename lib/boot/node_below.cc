// node_below: what the children say, what they are given, and how this rank leaves them; see node.h.
#include <algorithm>
#include <iterator>

#include "lib/base/clock.h"
#include "lib/boot/node.h"
#include "lib/boot/tree.h"

namespace tutti {
namespace {

constexpr size_t kPileBytes = 256 * 1024;  // of unsent gathered blobs per child
constexpr size_t kMostChildren = 2 * kFanOut;

}  // namespace

Node::Child* Node::child_of(const Peer& peer) {
  const auto found = std::find_if(children_.begin(), children_.end(), [&](const Child& child) { return child.peer == &peer; });
  return found == children_.end() ? nullptr : &*found;
}

void Node::on_frame(Peer& peer, const Frame& frame) {
  Child* const child = child_of(peer);
  if (!child) return frame.kind == Kind::Member ? enter(peer, frame) : adopt(peer, frame);
  Reader in(frame.payload);
  switch (frame.kind) {
    case Kind::Ping: return peer.connection.send(Kind::Pong, "");
    case Kind::Moved: child->moved = true; return;
    case Kind::Shunned:
      child->moved = true;
      return step_down();
    case Kind::Succeeds: child->succeeds = true; return;
    case Kind::Failure: return take_failure(in.cause(), false);
    case Kind::GaveUp: return rise(Kind::Abort, frame.payload);
    case Kind::Leave:
      if (static_cast<int>(in.u32()) == peer.rank && in.ok()) child->parting = true;
      break;
    case Kind::Activity:
      if (in.u32() == Reader(query_).u32() && static_cast<int>(in.u32()) == peer.rank) child->answered = true;
      break;
    case Kind::Member:
    case Kind::Contribution:
    case Kind::GatherLate:
    case Kind::Abort:
    case Kind::Timeout:
    case Kind::Mismatch:
    case Kind::Unanswered:
    case Kind::Call:
    case Kind::Accept:
    case Kind::Decided:
    case Kind::Gone:
    case Kind::Vanished: break;
    default:
      return rise_until_settled(
          Kind::Abort, Writer().cause({Code::InternalError, peer.rank, concat(to_text(child->who), " sent a message that makes no sense")}).bytes());
  }
  rise(frame.kind, frame.payload);
}

// A child comes for the first time, while the ranks join.
void Node::enter(Peer& peer, const Frame& frame) {
  Reader in(frame.payload);
  const Identity who = in.identity();
  const bool known = std::any_of(children_.begin(), children_.end(), [&](const Child& child) { return child.who.rank == who.rank; });
  if (!in.ok() || !roster_.has(who.rank) || who.rank == rank_ || known || welcomed_) {
    peer.unwanted = true;
    return;
  }
  peer.rank = who.rank;
  children_.push_back({.peer = &peer, .who = who});
  if (awaited_ > 0) --awaited_;
  if (failure_) return peer.connection.send(Kind::Failure, Writer().cause(*failure_).bytes());
  rise(Kind::Member, frame.payload);
}

// A child comes because its parent has gone. It hears what it may have missed.
void Node::adopt(Peer& peer, const Frame& frame) {
  Reader in(frame.payload);
  const int rank = static_cast<int>(in.u32());
  const bool failed = in.u32() != 0;
  const Cause cause = in.cause();
  if (frame.kind != Kind::Attach || !in.ok() || !roster_.has(rank) || rank == rank_ || !welcomed_ || gone_) {
    peer.unwanted = true;
    return;
  }
  for (Child& child : children_)
    if (child.who.rank == rank) child.moved = true;  // its connection of before
  if (roster_.presence(rank) != Presence::Left) roster_.set(rank, Presence::Here);
  if (const Child* const other = child_for(rank)) {
    peer.connection.send(Kind::Refer, Writer().u32(static_cast<uint32_t>(other->who.rank)).bytes());
    peer.connection.write_some();
    peer.unwanted = true;
    if (failed) take_failure(cause, false);
    return;
  }
  peer.rank = rank;
  children_.push_back({.peer = &peer, .who = roster_.who(rank), .handed = pieces_.size(), .answered = failure_ || query_.empty()});
  std::vector<int> left;
  for (int other = 0; other < roster_.ranks(); ++other)
    if (roster_.presence(other) == Presence::Left) left.push_back(other);
  for (const std::string& piece : pack_left(roster_, left, broken_)) peer.connection.send(Kind::Left, piece);
  if (failure_)
    peer.connection.send(Kind::Failure, Writer().cause(*failure_).bytes());
  peer.connection.send(Kind::Adopted, "");
  if (!failure_ && !query_.empty()) peer.connection.send(Kind::Query, query_);  // after Adopted: then the answer comes here
  if (failed) take_failure(cause, false);
}

// The child that should be the parent of `rank`, so that no rank has more and more children while ranks leave. Null: this rank.
Node::Child* Node::child_for(int rank) {
  std::vector<Child*> stay, fit;
  for (Child& child : children_)
    if (!child.moved && !child.parting && !child.goodbye && roster_.here(child.who.rank)) stay.push_back(&child);
  if (leaving_ || stay.size() < kMostChildren) return nullptr;
  std::copy_if(stay.begin(), stay.end(), std::back_inserter(fit), [&](const Child* child) { return roster_.before(child->who.rank, rank); });
  return fit.empty() ? nullptr : fit[referred_++ % fit.size()];
}

void Node::on_closed(Peer& peer) {
  const auto found = std::find_if(children_.begin(), children_.end(), [&](const Child& child) { return child.peer == &peer; });
  if (found == children_.end()) return;
  const Child child = *found;
  children_.erase(found);
  lose_child(child, peer.connection.link() == Connection::Link::Lost);
}

void Node::lose_child(const Child& child, bool lost) {
  const int rank = child.who.rank;
  if (child.moved || child.parting || !roster_.here(rank)) return;
  roster_.set(rank, Presence::Dead);
  mourn(child.who, lost ? lost_text() : died());
}

void Node::hand_out(Child& child) {
  if (failure_ || child.moved) return;
  Connection& connection = child.peer->connection;
  while (child.handed < pieces_.size()) {
    // What then stays unsent makes the server wait for room, and come back here.
    if (connection.unsent_bytes() >= kPileBytes) connection.write_some();
    if (connection.unsent_bytes() >= kPileBytes) return;
    connection.send(Kind::Gathered, pieces_[child.handed++]);
  }
}

// The root cannot tell a child that says nothing from the ranks behind it.
void Node::blame_silent_children(int64_t now) {
  if (now < children_answer_by_ns_) return;
  children_answer_by_ns_ = kNever;
  const uint32_t inquiry = Reader(query_).u32();
  for (const Child& child : children_)
    if (!child.answered && !child.moved && roster_.here(child.who.rank))
      rise(Kind::Unanswered, Writer().u32(inquiry).u32(static_cast<uint32_t>(child.who.rank)).bytes());
}

// Not before all ranks know, and not before each child has all that this rank has of an all-gather. A communicator that has failed needs
// neither; but a child that has not heard of the failure must not take this rank for dead.
void Node::leave(int64_t now) {
  if (!acknowledged_) {
    if (!failure_ && now < leave_by_ns_) return;
    take_left(pack_left(roster_, {rank_}, broken_).front());
  }
  if (!told_) leave_by_ns_ = now + static_cast<int64_t>((failure_ ? kFailedHandOverS : kHandOverS) * 1e9);
  told_ = true;
  const bool hurry = failure_ || now >= leave_by_ns_;
  bool all = true;
  for (Child& child : children_) {
    if (!child.goodbye && !child.moved && (hurry || is_handed(child))) {
      child.peer->connection.send(Kind::Goodbye, "");
      child.goodbye = true;
    }
    all = all && (child.goodbye || child.moved);
  }
  if (root_ && all && !handing_over_) {
    handing_over_ = true;
    root_->end_questions();  // the answers go to the next root
  }
  if (gone_ || !may_go(now)) return;
  gone_ = true;
  for (Child& child : children_) child.peer->connection.write_some();  // the process may end at once
  control_.may_go();
}

// To all children, at the end of all patience.
void Node::say_goodbye() {
  if (!acknowledged_) take_left(pack_left(roster_, {rank_}, broken_).front());
  for (Child& child : children_) {
    if (!child.goodbye && !child.moved) child.peer->connection.send(Kind::Goodbye, "");
    child.goodbye = true;
  }
}

bool Node::alone() const {
  return std::all_of(children_.begin(), children_.end(), [](const Child& child) { return child.moved; });
}

// Writes to the children first: who hears that this rank has moved may end, and the children have to know by then who has left.
bool Node::may_go(int64_t now) {
  if (now >= leave_by_ns_) return true;
  if (predecessor_) return false;  // its children are on their way
  bool may = true;
  for (Child& child : children_) {
    if (child.moved) continue;
    child.peer->connection.write_some();
    may = may && child.succeeds && child.peer->connection.unsent_bytes() == 0;
  }
  if (!may) return false;
  const bool succeeded = !alone();
  if (succeeded && parent_) {  // the other ranks below the parent have to find their new root, too
    if (!passed_on_) parent_->connection.send(Kind::Succeeds, "");
    passed_on_ = true;
    return false;
  }
  for (Child& child : children_) {
    if (child.moved || !child.succeeds) continue;
    child.peer->connection.send(Kind::Moved, "");
    child.peer->connection.write_some();
  }
  if (parent_ && parent_->goodbye) release_parent();
  if (!parent_) return true;
  parent_->connection.write_some();
  return parent_->connection.unsent_bytes() == 0;
}

}  // namespace tutti

// node: see node.h. This file is the service: orders of this rank, what descends, failures, the end.
#include "lib/boot/node.h"

#include <algorithm>

#include "lib/base/clock.h"
#include "lib/base/log.h"

namespace tutti {
namespace {

// All ranks were alive when the rendezvous introduced them. From then on they get this much time to connect.
constexpr int64_t kConnectNs = 30'000'000'000;
constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kChildAnswerNs = 700'000'000;    // less than the root waits
constexpr int64_t kLastWordsNs = 200'000'000;      // while the ranks join
constexpr double kCloseS = 0.2;                    // for the other side of a connection to close
constexpr double kCloseAllS = 1;

}  // namespace

void close_gently(Connection& connection, const Deadline& deadline) {
  finish_writing(connection, deadline);
  for (const Deadline end = Deadline::after_s(kCloseS); connection.drain() && !end.passed() && !deadline.passed();) {
    pollfd entry{connection.fd(), POLLIN, 0};
    poll(&entry, 1, end.left_ms(1000));
  }
}

Node::Node(ControlPlane& control, int rank, int ranks, const Key& secret)
    : control_(control), rank_(rank), secret_(secret), roster_(ranks), compared_(static_cast<size_t>(ranks)) {}

void Node::on_clock(int64_t now) {
  for (Order& order : control_.take_orders()) obey(std::move(order));
  if (std::optional<Joined> joined = control_.take_place()) place(std::move(*joined));
  if (root_) root_->on_clock(now);
  blame_silent_children(now);
  watch_parent(now);
  give_up_next(now);
  if (seeking_) seek(now);
  probe(now);
  for (Child& child : children_) hand_out(child);
  if (leaving_) leave(now);
}

int64_t Node::wake_ns() const {
  int64_t wake = std::min({children_answer_by_ns_, answer_by_ns_, stop_by_ns_});
  if (root_) wake = std::min(wake, root_->wake_ns());
  if (parent_) wake = std::min(wake, parent_->pong_due_ns);
  if (seeking_ && !next_) wake = std::min(wake, seek_at_ns_);
  if (leaving_ && !gone_) wake = std::min(wake, leave_by_ns_);
  if (regenerating_ && root_) wake = std::min(wake, probe_at_ns_);
  if (regenerating_ && parent_ && parent_->pong_due_ns == kNever) wake = std::min(wake, ping_at_ns_);
  if (next_ && failure_) wake = std::min(wake, next_->since_ns + 2 * kSecond);
  for (const Parting& parting : parting_) wake = std::min(wake, parting.end_ns);
  return wake;
}

void Node::place(Joined joined) {
  roster_ = std::move(joined.roster);
  placed_ = true;
  awaited_ = joined.children - std::min(joined.children, children_.size());
  if (joined.connection) {
    parent_.emplace(Parent{std::move(*joined.connection), joined.parent});
  } else {
    root_.emplace(roster_, *this, broken_, rank_, Agreement(roster_, *this, rank_, control_.make_id(), decided_));
    root_->expect_all(now_ns() + std::min(joined.left_ns, kConnectNs));
  }
  rise(Kind::Member, Writer().identity(own_identity(rank_)).bytes());
  for (const Order& order : std::exchange(early_, {})) rise(order.kind, order.payload);
  read_parent();  // what has come with the last bytes of the handshake would not wake poll()
}

void Node::obey(Order order) {
  if (order.kind == Kind::Leave) {
    leaving_ = true;
    Reader in(order.payload);
    (void)in.u32();
    if (in.u32() != 0) roster_.departure(rank_) = in.departure();
    leave_by_ns_ = now_ns() + static_cast<int64_t>(kAckS * 1e9);
    return rise_until_settled(order.kind, std::move(order.payload));
  }
  if (order.kind == Kind::Call) return begin_call(static_cast<int64_t>(Reader(order.payload).u64()));
  if (failure_) return;
  if (order.kind == Kind::Contribution) return rise(order.kind, order.payload);
  // A rank without a place fails alone: its children wait for it, and nobody else.
  if (!placed_ && order.kind == Kind::Abort) return take_failure(Reader(order.payload).cause(), false);
  rise_until_settled(order.kind, std::move(order.payload));
}

// Takes what the root has decided, and passes it on.
void Node::descend(Kind kind, const std::string& payload) {
  switch (kind) {
    case Kind::Seats:
      if (!roster_.take(payload)) break;
      return forward(kind, payload);
    case Kind::Welcome:
      if (root_)
        for (const std::string& piece : roster_.packed()) forward(Kind::Seats, piece);
      if (!roster_.complete()) break;
      forward(kind, payload);
      welcomed_ = true;
      return control_.welcome(Reader(payload).u32());
    case Kind::Gathered:
      relay(payload);
      return control_.take_gathered(payload);
    case Kind::Query: return answer(payload);
    case Kind::Left: return take_left(payload);
    case Kind::Failure: return take_failure(Reader(payload).cause(), parent_.has_value());
    case Kind::Repeat: return repeat();
    case Kind::Proposal: return take_proposal(payload);
    case Kind::Undecided: return take_undecided(payload);
    case Kind::Decided: return take_decided(payload);
    default: break;
  }
  take_failure({Code::InternalError, rank_, concat(to_text(own_identity(rank_)), " received a message that makes no sense")}, false);
}

void Node::forward(Kind kind, const std::string& payload) {
  for (Child& child : children_)
    if (!child.moved) child.peer->connection.send(kind, payload);
}

// Nobody contributes to a round before having received all of the one before: so all children have that when the next one comes.
void Node::relay(const std::string& piece) {
  Reader in(piece);
  (void)in.u32();
  const uint32_t first = in.u32(), count = in.u32();
  if (first == 0) {
    pieces_.clear();
    for (Child& child : children_) child.handed = 0;
  }
  round_whole_ = first + count >= static_cast<uint32_t>(roster_.ranks());
  if (!children_.empty()) pieces_.push_back(piece);
  if (round_whole_) settle_gather();
}

void Node::answer(const std::string& query) {
  if (failure_) return;
  query_ = query;
  forward(Kind::Query, query);
  for (Child& child : children_) child.answered = false;
  if (!children_.empty()) children_answer_by_ns_ = now_ns() + kChildAnswerNs;
  Reader in(query);
  const uint32_t inquiry = in.u32();
  const Activity activity = control_.activity(in.u64());
  rise(Kind::Activity, Writer().u32(inquiry).u32(static_cast<uint32_t>(rank_)).activity(activity).bytes());
}

void Node::take_left(const std::string& payload) {
  Reader in(payload);
  Broken broken;
  broken.round = in.u32();
  broken.rank = static_cast<int32_t>(in.u32());
  const uint32_t count = in.u32();
  bool fresh = false;
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    const int rank = static_cast<int>(in.u32());
    const bool known = in.u32() != 0;
    const Departure departure = in.departure();
    if (!in.ok() || !roster_.has(rank)) continue;
    const bool tells_calls = known && !compared_[static_cast<size_t>(rank)];
    if (roster_.presence(rank) == Presence::Left && !tells_calls) continue;
    fresh = true;
    roster_.set(rank, Presence::Left);
    if (tells_calls) {
      compared_[static_cast<size_t>(rank)] = true;
      roster_.departure(rank) = departure;
      control_.departed(departure);
    }
    if (rank != rank_) continue;
    acknowledged_ = true;
    control_.left();
    std::erase_if(open_, [](const Order& order) { return order.kind == Kind::Leave; });
  }
  const bool breaks = broken_.rank < 0 && roster_.has(broken.rank);
  if (fresh || breaks) forward(Kind::Left, payload);
  if (!breaks) return;
  broken_ = broken;
  settle_gather();
  control_.break_gather(broken.round, fail(Code::InvalidUsage, to_text(roster_.who(broken.rank)), " has left the communicator"));
}

// The first cause counts. All neighbours hear it.
void Node::take_failure(const Cause& cause, bool from_parent) {
  if (failure_) return;
  failure_ = cause;
  log_info(rank_, "failure: ", cause.text);
  std::erase_if(open_, [](const Order& order) { return order.kind != Kind::Leave; });
  question_.reset();
  answer_by_ns_ = children_answer_by_ns_ = kNever;
  if (root_) root_->end_questions();
  const std::string payload = Writer().cause(cause).bytes();
  forward(Kind::Failure, payload);
  if (parent_ && !from_parent) parent_->connection.send(Kind::Failure, payload);
  control_.deliver(cause);
}

// While the ranks join, children may still be on their way here.
void Node::on_leftover(Connection& connection) {
  if (failure_) connection.send(Kind::Failure, Writer().cause(*failure_).bytes());
}

// An abort that the root has not answered is told to the neighbours. Without leave(), these take the end of the connections for a death. If this
// thread had no time for leave() while its caller waited, it leaves now.
void Node::on_stop(bool) {
  const int64_t now = now_ns();
  if (stop_by_ns_ == kNever) stop_by_ns_ = now + (welcomed_ ? kSecond : kLastWordsNs);
  for (Order& order : control_.take_orders()) obey(std::move(order));
  if (leaving_ && !gone_) {
    if (now < stop_by_ns_) return;
    say_goodbye();
  }
  const auto abort = std::find_if(open_.begin(), open_.end(), [](const Order& order) { return order.kind == Kind::Abort; });
  const bool unanswered = !failure_ && abort != open_.end();
  if (unanswered && (parent_ || next_) && now < stop_by_ns_) return;
  if (unanswered) take_failure(Reader(abort->payload).cause(), false);
  if (failure_ && !welcomed_ && awaited_ > 0 && now < stop_by_ns_) return;  // children that are on their way here hear of it
  const Deadline end = Deadline::after_s(kCloseAllS);
  if (parent_) close_gently(parent_->connection, end);
  parent_.reset();
  take_leave_of_next(end);
  seeking_ = false;
  if (predecessor_) close_gently(*predecessor_, end);
  predecessor_.reset();
  for (Parting& parting : parting_) close_gently(parting.connection, end);
  parting_.clear();
  finished_ = true;
}

void Node::on_exhausted(const Status& status) {
  if (welcomed_) {  // children of ranks that have left may come, as soon as there are descriptors
    if (!std::exchange(crowded_out_, true)) log_warn(rank_, "control plane: ", status.text());
    return;
  }
  rise_until_settled(Kind::Abort, Writer().cause({status.code(), rank_, concat(to_text(own_identity(rank_)), ": ", status.text())}).bytes());
}

void Node::on_no_memory() {
  finished_ = true;
  parent_.reset();
  next_.reset();
  predecessor_.reset();
  parting_.clear();
  control_.may_go();
  control_.settle(Status::out_of_memory());
  control_.deliver({Code::SystemError, rank_, Status::out_of_memory().text()});
}

void Node::add_waits(std::vector<pollfd>& fds) {
  const auto add = [&](Connection& connection) {
    connection.write_some();
    fds.push_back({connection.fd(), static_cast<short>(POLLIN | (connection.unsent_bytes() ? POLLOUT : 0)), 0});
  };
  if (parent_) add(parent_->connection);
  if (predecessor_) add(*predecessor_);
  if (next_ && next_->connection) add(*next_->connection);
  if (next_ && next_->dial) fds.push_back(next_->dial->waits());
  if (probe_) fds.push_back(probe_->dial->waits());
  for (Parting& parting : parting_) add(parting.connection);
}

void Node::on_waits() {
  read_parent();
  read_next();
  read_predecessor();
  const int64_t now = now_ns();
  std::erase_if(parting_, [&](Parting& parting) {
    if (parting.connection.unsent_bytes() == 0) parting.connection.finish_writing();
    return !parting.connection.drain() || now >= parting.end_ns;
  });
}

}  // namespace tutti

// control_thread: the control thread's side of control.h. It sends the orders, hears the hub, and reports what the hub says.
#include "lib/boot/control.h"

#include <poll.h>

#include <algorithm>
#include <new>

#include "lib/base/clock.h"
#include "lib/base/log.h"

namespace tutti {
namespace {

constexpr double kCloseS = 0.2;  // for the hub to close its side

}  // namespace

void close_gently(Connection& connection) {
  finish_writing(connection, Deadline::after_s(kLeaveS));
  for (const Deadline end = Deadline::after_s(kCloseS); connection.drain() && !end.passed();) {
    pollfd entry{connection.fd(), POLLIN, 0};
    poll(&entry, 1, end.left_ms(1000));
  }
}

void ControlPlane::run() {
  bool goes_on = true;
  for (bool first = true; goes_on; first = false) {
    try {
      // While joining, the connection may have read frames that follow the Welcome. poll() would not report these.
      if (first && connection_) read_hub();
      goes_on = run_once();
    } catch (const std::exception&) {  // out of memory: the others take the end of the connection for a death
      lose_hub();
      deliver({Code::SystemError, rank_, Status::out_of_memory().text()});
    }
  }
  close_connection();
}

// False when this thread is to end.
bool ControlPlane::run_once() {
  take_orders();
  if (connection_) connection_->write_some();
  const bool all_sent = !connection_ || connection_->unsent_bytes() == 0;
  {
    Lock lock(mutex_);
    if (stopping_ && orders_.empty()) return false;  // an abort ordered just before is still sent
    if (leaving_ && all_sent && orders_.empty() && !leave_sent_) {
      leave_sent_ = true;
      changed_.notify_all();
    }
  }
  const int64_t now = now_ns();
  if (now >= answer_by_ns_) {
    answer_by_ns_ = kNever;
    deliver(*question_->if_silent);
  }
  pollfd fds[2] = {{bell_.fd(), POLLIN, 0}, {connection_ ? connection_->fd() : -1, POLLIN, 0}};
  if (!all_sent) fds[1].events |= POLLOUT;
  const int64_t left_ms = answer_by_ns_ == kNever ? 60'000 : std::max<int64_t>(answer_by_ns_ - now, 0) / 1'000'000 + 1;
  poll(fds, 2, static_cast<int>(left_ms));
  if (fds[0].revents) bell_.hush();
  if (fds[1].revents & ~POLLOUT) read_hub();
  return true;
}

void ControlPlane::take_orders() {
  std::vector<Order> orders;
  {
    Lock lock(mutex_);
    if (std::exchange(out_of_memory_, false)) throw std::bad_alloc();
    orders.swap(orders_);
  }
  for (Order& order : orders) obey(std::move(order));
}

void ControlPlane::obey(Order order) {
  if (!connection_) {
    if (order.kind == Kind::Contribution)
      break_gather(fail(Code::InvalidUsage, to_text(rank0_), " has left the communicator"));
    else if (order.if_gone)
      deliver(*order.if_gone);
    return;
  }
  connection_->send(order.kind, order.payload);
  if (!order.if_silent || (question_ && question_->kind != Kind::GatherLate)) return;
  question_ = std::move(order);
  answer_by_ns_ = now_ns() + static_cast<int64_t>(kHubAnswerS * 1e9);
}

void ControlPlane::read_hub() {
  connection_->read_some();
  while (connection_) {
    const std::optional<Frame> frame = connection_->next();
    if (!frame) break;
    handle(*frame);
  }
  if (!connection_ || connection_->link() == Connection::Link::Open) return;
  const Connection::Link link = connection_->link();
  lose_hub();
  deliver({Code::RemoteError, 0,
           concat(to_text(rank0_), link == Connection::Link::Forged ? ": a message on its control connection was not authentic"
                                   : link == Connection::Link::Lost ? lost_text()
                                                                    : " died: its control connection closed")});
}

void ControlPlane::handle(const Frame& frame) {
  switch (frame.kind) {
    case Kind::Failure: return deliver(Reader(frame.payload).cause());
    case Kind::Gathered: return take_gathered(frame);
    case Kind::GatherFailed: {
      const Cause cause = Reader(frame.payload).cause();
      return break_gather(Status(cause.code, cause.text));
    }
    case Kind::Query: {
      const Activity activity = callbacks_.activity ? callbacks_.activity(Reader(frame.payload).u64()) : Activity{};
      return connection_->send(Kind::Activity, Writer().activity(activity).bytes());
    }
    case Kind::Parted: return take_parted(frame);
    case Kind::Goodbye: return hub_said_goodbye();
    default:
      return deliver({Code::InternalError, 0, concat(to_text(rank0_), ": its hub sent a message that makes no sense")});
  }
}

void ControlPlane::take_gathered(const Frame& frame) {
  Reader in(frame.payload);
  const uint32_t round = in.u32();
  const size_t first = in.u32(), count = in.u32();
  Lock lock(mutex_);
  if (round != round_ || first != blobs_here_ || first + count > blobs_.size()) return;
  for (size_t i = 0; i < count; ++i) blobs_[first + i] = in.text(kMaxBlobBytes);
  if (!in.ok()) return;
  blobs_here_ = first + count;
  if (blobs_here_ < ranks_) return;
  changed_.notify_all();
  if (question_ && question_->kind == Kind::GatherLate) {
    question_.reset();
    answer_by_ns_ = kNever;
  }
}

void ControlPlane::take_parted(const Frame& frame) {
  Reader in(frame.payload);
  const Departure most = in.departure(), fewest = in.departure();
  if (!in.ok()) return;
  Lock lock(mutex_);
  most_ = most;
  fewest_ = fewest;
  parted_ = leave_sent_;  // after our Leave this is the answer to it, or what the hub knew just before it
  changed_.notify_all();
}

void ControlPlane::lose_hub() {
  connection_.reset();
  Lock lock(mutex_);
  hub_gone_ = true;
  changed_.notify_all();
}

// Rank 0 has left without a failure. From now on the hub relays nothing.
void ControlPlane::hub_said_goodbye() {
  lose_hub();
  log_info(rank_, to_text(rank0_), " has left; the control plane is closed");
  break_gather(fail(Code::InvalidUsage, to_text(rank0_), " has left the communicator"));
  if (question_ && answer_by_ns_ != kNever) deliver(*question_->if_gone);
  answer_by_ns_ = kNever;
}

void ControlPlane::break_gather(Status status) {
  Lock lock(mutex_);
  if (gather_broken_.ok()) gather_broken_ = std::move(status);
  changed_.notify_all();
}

// The first cause counts, and none after leave().
void ControlPlane::deliver(const Cause& cause) {
  answer_by_ns_ = kNever;
  {
    Lock lock(mutex_);
    if (aborted_ || leaving_) return;
  }
  // The callback comes before all_gather() returns the cause: a caller that sees it fail must find the communicator failed.
  if (callbacks_.on_abort) callbacks_.on_abort(cause);
  Lock lock(mutex_);
  aborted_ = cause;
  changed_.notify_all();
}

void ControlPlane::close_connection() {
  if (connection_) close_gently(*connection_);
  connection_.reset();
}

}  // namespace tutti

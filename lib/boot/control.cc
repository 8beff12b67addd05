// control: one rank's control plane after joining: a thread that watches the connection to the hub.
//
// Only this thread touches the connection. The communicator's threads leave orders under mutex_ and ring the bell; answers
// come back under the same mutex (all_gather, leave) or through the callbacks. Questions to the hub (abort, timeout, late
// gathering) are given 2 s; then rank 0, in whose process the hub lives, is itself the culprit.
#include <poll.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <new>
#include <optional>

#include "lib/base/clock.h"
#include "lib/base/condition.h"
#include "lib/base/log.h"
#include "lib/base/thread.h"
#include "lib/boot/bell.h"
#include "lib/boot/boot.h"
#include "lib/boot/join.h"

namespace tutti {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr double kHubAnswerS = 2;
constexpr double kLeaveS = 1;  // for the last words to get out
constexpr double kCloseS = 0.2;
constexpr size_t kMaxSuspects = 1024;

// Sends what is left, then waits for the hub to see the end: closing earlier might reset the connection under our last
// words.
void finish(Connection& connection) {
  const auto wait = [&](short events, const Deadline& deadline) {
    pollfd entry{connection.fd(), events, 0};
    poll(&entry, 1, deadline.left_ms(1000));
  };
  for (const Deadline end = Deadline::after_s(kLeaveS); connection.unsent_bytes() > 0 && !end.passed(); connection.write_some())
    wait(POLLOUT, end);
  connection.finish_writing();
  for (const Deadline end = Deadline::after_s(kCloseS); connection.drain() && !end.passed();) wait(POLLIN, end);
}

// Of a rank that cannot go on: the others would take the end of the connection for a death.
void take_leave(Connection& connection, int rank, const Status& why) {
  connection.send(Kind::Abort, Writer().cause({why.code(), rank, concat("rank ", rank, ": ", why.text())}).bytes());
  finish(connection);
}

class ControlPlane final : public Control {
 public:
  ControlPlane(Joined joined, Bell bell, int rank, int ranks, Callbacks callbacks)
      : rank_(rank),
        ranks_(static_cast<size_t>(ranks)),
        rank0_(std::move(joined.rank0)),
        number_(joined.number),
        callbacks_(std::move(callbacks)),
        hub_(std::move(joined.hub)),
        bell_(std::move(bell)),
        connection_(std::move(joined.connection)) {}
  ~ControlPlane() override;
  Status start() {
    Status started = start_thread(&thread_, "tutti-control", [this] { run(); });
    if (!started.ok() && connection_) take_leave(*connection_, rank_, started);
    return started;
  }

  uint32_t number() const override { return number_; }
  Result<std::vector<std::string>> all_gather(const std::string& blob, Deadline deadline, const std::string& what) override;
  void abort(const Cause& cause) override;
  void report_timeout(uint64_t entered, const std::vector<int>& suspects, const std::string& text) override;
  void report_mismatch(uint64_t number, const std::string& which, const Cause& seen) override;
  std::optional<Departure> leave(const std::optional<Departure>& mine) override;

 private:
  // A frame to send. A question is answered by an abort: by the hub, or here with one of the causes.
  struct Order {
    Kind kind;
    std::string payload;
    std::optional<Cause> if_silent;  // the hub does not answer
    std::optional<Cause> if_gone;    // the hub has said goodbye
  };
  using Lock = std::unique_lock<std::mutex>;

  template <typename Make>
  void give_order(const Make& make) noexcept;
  void run();
  bool run_once();
  void take_orders();
  void obey(Order order);
  void read_hub();
  void handle(const Frame& frame);
  void take_gathered(const Frame& frame);
  void hub_said_goodbye();
  void take_parted(const Frame& frame);
  void lose_hub();
  void deliver(const Cause& cause);
  void close_connection();
  void break_gather(Status status);
  Cause silent_hub(const std::string& text) const {
    return {Code::RemoteError, 0, concat(text, ": ", to_text(rank0_), " does not answer (stopped or swapped out?)")};
  }

  const int rank_;
  const size_t ranks_;
  const Identity rank0_;
  const uint32_t number_;
  const Callbacks callbacks_;
  std::unique_ptr<Server> hub_;  // rank 0's process only
  Bell bell_;
  Thread thread_;

  // Control thread only.
  std::optional<Connection> connection_;  // none: the hub is gone
  std::optional<Order> question_;
  int64_t answer_by_ns_ = kNever;

  std::mutex mutex_;  // guards all below
  Condition changed_;
  std::vector<Order> orders_;
  bool stopping_ = false, leaving_ = false, leave_sent_ = false;
  bool hub_gone_ = false, parted_ = false;
  std::optional<Departure> most_, fewest_;  // as the hub said last
  bool abort_ordered_ = false, timeout_ordered_ = false;
  bool out_of_memory_ = false;  // the connection is to end: the others hear of it as of a death
  std::optional<Cause> aborted_;
  uint32_t round_ = 0;
  std::vector<std::string> blobs_;
  size_t blobs_here_ = 0;
  Status gather_broken_;  // no round can follow a failed one
};

// ---------------------------------------------------------------- the communicator's side

Result<std::vector<std::string>> ControlPlane::all_gather(const std::string& blob, Deadline deadline, const std::string& what) {
  if (blob.size() > kMaxBlobBytes)
    return fail(Code::InvalidArgument, "a blob of ", blob.size(), " bytes; 64 KiB is the limit");
  Lock lock(mutex_);
  if (leaving_) return fail(Code::InvalidUsage, "this rank has left the communicator");
  if (aborted_) return Status(aborted_->code, aborted_->text);
  if (!gather_broken_.ok()) return gather_broken_;
  ++round_;
  blobs_.assign(ranks_, {});
  blobs_here_ = 0;
  orders_.push_back({Kind::Contribution, Writer().u32(round_).text(blob).bytes(), {}, {}});
  bell_.ring();
  const auto settled = [&] { return blobs_here_ == ranks_ || aborted_ || leaving_ || !gather_broken_.ok(); };
  if (!changed_.wait_until(lock, deadline, settled)) {
    // The hub knows who is missing, asks them what they do, and tells everybody.
    const Cause silent = silent_hub(concat(what, " did not finish in time"));
    orders_.push_back({Kind::GatherLate, Writer().u32(round_).text(what.substr(0, kMaxTextBytes / 2)).bytes(), silent, silent});
    bell_.ring();
    if (!changed_.wait_until(lock, Deadline::after_s(kHubAnswerS + 1), settled)) gather_broken_ = Status(silent.code, silent.text);
  }
  if (blobs_here_ == ranks_) return std::move(blobs_);  // whatever came after it
  if (aborted_) return Status(aborted_->code, aborted_->text);
  if (leaving_) return fail(Code::InvalidUsage, "this rank has left the communicator");
  return gather_broken_;
}

template <typename Make>
void ControlPlane::give_order(const Make& make) noexcept {
  try {
    orders_.push_back(make());
  } catch (const std::exception&) {
    out_of_memory_ = true;
  }
  bell_.ring();
}

void ControlPlane::abort(const Cause& cause) {
  Lock lock(mutex_);
  if (leaving_ || aborted_ || abort_ordered_) return;
  abort_ordered_ = true;
  give_order([&] { return Order{Kind::Abort, Writer().cause(cause).bytes(), cause, cause}; });
}

void ControlPlane::report_timeout(uint64_t entered, const std::vector<int>& suspects, const std::string& text) {
  Lock lock(mutex_);
  if (leaving_ || aborted_ || timeout_ordered_) return;
  timeout_ordered_ = true;
  give_order([&] {
    Writer out;
    const size_t count = std::min(suspects.size(), kMaxSuspects);
    out.u64(entered).u32(static_cast<uint32_t>(count));
    for (size_t i = 0; i < count; ++i) out.u32(static_cast<uint32_t>(suspects[i]));
    out.text(std::string_view(text).substr(0, kMaxTextBytes / 2));
    Cause gone{Code::RemoteError, suspects.empty() ? -1 : suspects.front(),
               concat(text, suspects.empty() ? "" : concat(", waiting for ", rank_list(suspects)),
                      " (rank 0 has left the communicator, so that nobody can ask the others)")};
    return Order{Kind::Timeout, out.bytes(), silent_hub(text), std::move(gone)};
  });
}

void ControlPlane::report_mismatch(uint64_t number, const std::string& which, const Cause& seen) {
  Lock lock(mutex_);
  if (leaving_ || aborted_) return;
  give_order([&] {
    return Order{Kind::Mismatch, Writer().u64(number).text(which.substr(0, kMaxTextBytes / 8)).cause(seen).bytes(), seen, seen};
  });
}

// Returns when the word is out, so that the process may exit at once, and no callback is under way.
std::optional<Departure> ControlPlane::leave(const std::optional<Departure>& mine) {
  Lock lock(mutex_);
  if (!leaving_) {
    leaving_ = true;
    give_order([&] {
      const Departure known = mine.value_or(Departure());
      return Order{Kind::Leave, Writer().u32(mine.has_value()).u64(known.calls).text(known.last.substr(0, kMaxTextBytes / 8)).bytes(), {}, {}};
    });
    changed_.notify_all();  // another thread may be in all_gather()
  }
  const Deadline end = Deadline::after_s(kLeaveS);
  changed_.wait_until(lock, end, [&] { return leave_sent_; });
  if (!mine) return {};
  changed_.wait_until(lock, end, [&] { return parted_ || hub_gone_; });
  if (fewest_ && fewest_->calls < mine->calls) return fewest_;
  if (most_ && most_->calls > mine->calls) return most_;
  return {};
}

ControlPlane::~ControlPlane() {
  if (thread_.joinable()) {
    {
      Lock lock(mutex_);
      stopping_ = true;
    }
    bell_.ring();
    thread_.join();
  }
  // The hub has seen our connection end, so it has heard all we had to say.
  if (hub_) hub_->stop(leaving_);
}

// ---------------------------------------------------------------- the control thread's side

void ControlPlane::run() {
  bool goes_on = true;
  for (bool first = true; goes_on; first = false) {
    try {
      // What came along with the last words of the rendezvous has been read already: poll() would not tell of it.
      if (first && connection_) read_hub();
      goes_on = run_once();
    } catch (const std::exception&) {  // the others hear of it as of a death
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
    if (stopping_) return false;
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
      return connection_->send(
          Kind::Activity,
          Writer().u64(activity.entered).u64(activity.finished).u32(static_cast<uint32_t>(activity.waits_for))
              .text(activity.call.substr(0, kMaxTextBytes / 8))
              .text(activity.then.substr(0, kMaxTextBytes / 8))
              .text(activity.text.substr(0, kMaxTextBytes / 8)).bytes());
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
  if (round != round_ || first != blobs_here_ || count > ranks_ - first) return;
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
  const auto departure = [&] {
    const uint64_t calls = in.u64();
    std::string last = in.text(kMaxTextBytes);
    return Departure{calls, std::move(last), static_cast<int>(in.u32())};
  };
  const Departure most = departure(), fewest = departure();
  if (!in.ok()) return;
  Lock lock(mutex_);
  most_ = most;
  fewest_ = fewest;
  parted_ = leave_sent_;  // then it is the answer, or what the hub knew a moment before it
  changed_.notify_all();
}

void ControlPlane::lose_hub() {
  connection_.reset();
  Lock lock(mutex_);
  hub_gone_ = true;
  changed_.notify_all();
}

// Rank 0 has left in peace: from here on nothing can be relayed, and nothing needs to be.
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
  // Before all_gather() returns the cause: whoever sees it fail finds the communicator failed. Only this thread aborts.
  if (callbacks_.on_abort) callbacks_.on_abort(cause);
  Lock lock(mutex_);
  aborted_ = cause;
  changed_.notify_all();
}

void ControlPlane::close_connection() {
  if (connection_) finish(*connection_);
  connection_.reset();
}

}  // namespace

Result<std::unique_ptr<Control>> Control::join(const Settings& settings, const UniqueId& id, int rank, int ranks,
                                               Callbacks callbacks, const std::atomic<bool>& cancel) {
  Result<Joined> joined = join_ranks(settings, id, rank, ranks, cancel);
  if (!joined.ok()) return joined.status();
  Result<Bell> bell = Bell::make();
  if (!bell.ok()) {
    take_leave(joined.value().connection, rank, bell.status());
    return bell.status();
  }
  auto control =
      std::make_unique<ControlPlane>(std::move(joined.value()), std::move(bell.value()), rank, ranks, std::move(callbacks));
  TUTTI_TRY(control->start());
  return std::unique_ptr<Control>(std::move(control));
}

}  // namespace tutti

// control: see control.h. This file is the communicator's side: it gives orders, and waits for answers.
#include "lib/boot/control.h"

#include <algorithm>

#include "lib/base/clock.h"
#include "lib/boot/node.h"
#include "lib/boot/unique_id.h"

namespace tutti {
namespace {

constexpr size_t kMaxSuspects = 1024;
constexpr double kAnswerS = 3;    // for the control thread, which takes 2.5 s at most
constexpr double kVerdictS = 2;   // of joining: who decides at the deadline gets this much longer to say why
constexpr double kCancelS = 0.025;  // how late a cancel may be seen
constexpr double kAgreeS = 6;     // for ranks that stop answering while the others agree
constexpr double kLeaveS = kAckS + kHandOverS + 0.5;  // the control thread begins to count later

}  // namespace

Status ControlPlane::gather_failure() const {
  if (aborted_) return Status(aborted_->code, aborted_->text);
  if (leaving_) return fail(Code::InvalidUsage, "this rank has left the communicator");
  return gather_broken_;
}

Result<std::vector<std::string>> ControlPlane::all_gather(const std::string& blob, Deadline deadline, const std::string& what) {
  if (blob.size() > kMaxBlobBytes)
    return fail(Code::InvalidArgument, "a blob of ", blob.size(), " bytes; 64 KiB is the limit");
  Lock lock(mutex_);
  if (leaving_) return fail(Code::InvalidUsage, "this rank has left the communicator");
  if (aborted_ || round_ + 1 >= broken_round_) return gather_failure();
  ++round_;
  blobs_.assign(ranks_, {});
  blobs_here_ = 0;
  orders_.push_back({Kind::Contribution, Writer().u32(static_cast<uint32_t>(rank_)).u32(round_).text(blob).bytes()});
  server_->wake();
  const auto settled = [&] { return blobs_here_ == ranks_ || aborted_ || leaving_ || round_ >= broken_round_; };
  if (!changed_.wait_until(lock, deadline, settled)) {
    // The root knows who is missing. It asks these ranks what they do, and tells everybody.
    orders_.push_back({Kind::GatherLate, Writer().u32(round_).text(what.substr(0, kMaxTextBytes / 2)).bytes()});
    server_->wake();
    if (!changed_.wait_until(lock, Deadline::after_s(kAnswerS), settled)) {
      broken_round_ = round_;
      gather_broken_ = fail(Code::RemoteError, what, " did not finish in time, and this rank's control thread does not say why");
    }
  }
  if (blobs_here_ == ranks_) return std::move(blobs_);  // even if a failure came after it
  return gather_failure();
}

template <typename Make>
void ControlPlane::give_order(const Make& make) noexcept {
  try {
    orders_.push_back(make());
  } catch (const std::exception&) {
    out_of_memory_ = true;
  }
  server_->wake();
}

void ControlPlane::abort(const Cause& cause) {
  Lock lock(mutex_);
  if (leaving_ || aborted_ || abort_ordered_) return;
  abort_ordered_ = true;
  give_order([&] { return Order{Kind::Abort, Writer().cause(cause).bytes()}; });
}

void ControlPlane::report_timeout(uint64_t entered, const std::vector<int>& suspects, const std::string& text) {
  Lock lock(mutex_);
  if (leaving_ || aborted_ || timeout_ordered_) return;
  timeout_ordered_ = true;
  give_order([&] {
    Writer out;
    const size_t count = std::min(suspects.size(), kMaxSuspects);
    out.text(std::string_view(text).substr(0, kMaxTextBytes / 2)).u64(entered).u32(static_cast<uint32_t>(count));
    for (size_t i = 0; i < count; ++i) out.u32(static_cast<uint32_t>(suspects[i]));
    return Order{Kind::Timeout, out.bytes()};
  });
}

void ControlPlane::report_mismatch(uint64_t number, const std::string& which, const Cause& seen) {
  Lock lock(mutex_);
  if (leaving_ || aborted_) return;
  give_order([&] {
    return Order{Kind::Mismatch, Writer().cause(seen).u64(number).text(which.substr(0, kMaxCallTextBytes)).bytes()};
  });
}

// When it returns, the last message is sent and the children have other parents, so that the process may exit at once; and no callback is
// running.
std::optional<Departure> ControlPlane::leave(const std::optional<Departure>& mine) {
  Lock lock(mutex_);
  if (!leaving_) {
    leaving_ = true;
    give_order([&] {
      return Order{Kind::Leave,
                   Writer().u32(static_cast<uint32_t>(rank_)).u32(mine.has_value()).departure(mine.value_or(Departure())).bytes()};
    });
    changed_.notify_all();  // another thread may be in all_gather()
  }
  changed_.wait_until(lock, Deadline::after_s(kLeaveS), [&] { return may_go_; });
  if (!mine) return {};
  if (fewest_ && fewest_->calls < mine->calls) return fewest_;
  if (most_ && most_->calls > mine->calls) return most_;
  return {};
}

Result<Generation> ControlPlane::regenerate(Deadline deadline) {
  Lock lock(mutex_);
  if (leaving_) return fail(Code::InvalidUsage, "this rank has left the communicator");
  if (!failing_) return fail(Code::InvalidUsage, "the communicator has not failed: there is no next generation");
  // What was decided just after an earlier call had given up: the others wait for this rank there.
  const bool late = generation_ && generation_->ok();
  if (!late) generation_.reset();
  if (!late) orders_.push_back({Kind::Call, Writer().u64(static_cast<uint64_t>(deadline.left_ns() / 1'000'000)).bytes()});
  server_->wake();
  const Deadline end = Deadline::after_s(static_cast<double>(deadline.left_ns()) / 1e9 + kAgreeS);
  if (!changed_.wait_until(lock, end, [&] { return generation_ || leaving_; })) return fail(Code::RemoteError, "the ranks that are left did not agree on a next generation in time");
  if (!generation_) return fail(Code::InvalidUsage, "this rank has left the communicator");
  Result<Generation> generation = std::move(*generation_);
  generation_.reset();
  return generation;
}

ControlPlane::~ControlPlane() {
  if (server_) server_->stop(leaving_);
}

Status ControlPlane::serve(Descriptor listener, const Key& secret, const Nonce& salt) {
  Result<std::unique_ptr<Server>> server = Server::make(std::move(listener), node_key(secret, salt),
                                                        std::make_unique<Node>(*this, rank_, static_cast<int>(ranks_), secret));
  if (!server.ok()) return server.status();
  TUTTI_TRY(server.value()->start("tutti-control"));
  server_ = std::move(server.value());
  return {};
}

void ControlPlane::place(Joined joined) {
  Lock lock(mutex_);
  place_.emplace(std::move(joined));
  server_->wake();
}

Status ControlPlane::await_welcome(const std::atomic<bool>& cancel, double left_s, const std::string& above) {
  const Deadline deadline = Deadline::after_s(left_s + kVerdictS);
  Lock lock(mutex_);
  for (;;) {
    changed_.wait_until(lock, Deadline::after_s(kCancelS), [&] { return welcome_ || aborted_.has_value(); });
    if (welcome_) return {};  // a failure that came after it has been told to on_abort()
    if (aborted_) return Status(aborted_->code, aborted_->text);
    if (cancel.load(std::memory_order_acquire)) return fail(Code::InvalidUsage, "aborted");
    if (deadline.passed()) return fail(Code::RemoteError, "the ranks have met, but ", above, " did not say in time that all have come");
  }
}

Status ControlPlane::enter(const Settings& settings, const UniqueId& id, const std::atomic<bool>& cancel) {
  make_id_ = [settings] { return make_child_id(settings); };
  Result<Joined> joined = join_ranks(settings, id, rank_, static_cast<int>(ranks_), cancel,
                                     [this](Descriptor listener, const Key& secret, const Nonce& salt) { return serve(std::move(listener), secret, salt); });
  Status status = joined.status();
  if (joined.ok()) {
    const double left_s = static_cast<double>(joined.value().left_ns) / 1e9;
    const int parent = joined.value().parent;
    const std::string above = parent < 0 ? "this rank's control thread" : to_text(joined.value().roster.who(parent));
    place(std::move(joined.value()));
    status = await_welcome(cancel, left_s, above);
  }
  // The others, and the children that have come, hear why.
  if (!status.ok() && server_) {
    const bool aborted = cancel.load(std::memory_order_acquire);
    abort({aborted ? Code::RemoteError : status.code(), rank_,
           joined.ok() ? concat(to_text(own_identity(rank_)), " gave up while the ranks were joining: ", status.text()) : status.text()});
  }
  return status;
}

Result<std::unique_ptr<Control>> Control::join(const Settings& settings, const UniqueId& id, int rank, int ranks,
                                               Callbacks callbacks, const std::atomic<bool>& cancel) {
  if (ranks < 2 || ranks > kMaxRanks)
    return fail(Code::InvalidArgument, "the number of ranks is ", ranks, "; it must be in 2..", kMaxRanks);
  if (rank < 0 || rank >= ranks) return fail(Code::InvalidArgument, "rank ", rank, " is not in 0..", ranks - 1);
  auto control = std::make_unique<ControlPlane>(rank, ranks, std::move(callbacks));
  TUTTI_TRY(control->enter(settings, id, cancel));
  return std::unique_ptr<Control>(std::move(control));
}

}  // namespace tutti

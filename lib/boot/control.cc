// control: see control.h. This file is the communicator's side: it gives orders, and waits for answers.
#include "lib/boot/control.h"

#include <algorithm>

#include "lib/base/clock.h"

namespace tutti {
namespace {

constexpr size_t kMaxSuspects = 1024;

// For a rank that cannot go on. Without these words the others would take the end of the connection for a death.
void take_leave(Connection& connection, int rank, const Status& why) {
  connection.send(Kind::Abort, Writer().cause({why.code(), rank, concat("rank ", rank, ": ", why.text())}).bytes());
  close_gently(connection);
}

}  // namespace

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
    // The hub knows who is missing. It asks these ranks what they do, and tells everybody.
    const Cause silent = silent_hub(concat(what, " did not finish in time"));
    orders_.push_back({Kind::GatherLate, Writer().u32(round_).text(what.substr(0, kMaxTextBytes / 2)).bytes(), silent, silent});
    bell_.ring();
    if (!changed_.wait_until(lock, Deadline::after_s(kHubAnswerS + 1), settled)) gather_broken_ = Status(silent.code, silent.text);
  }
  if (blobs_here_ == ranks_) return std::move(blobs_);  // even if a failure came after it
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
                      " (rank 0 has left the communicator, so no rank can ask the others)")};
    return Order{Kind::Timeout, out.bytes(), silent_hub(text), std::move(gone)};
  });
}

void ControlPlane::report_mismatch(uint64_t number, const std::string& which, const Cause& seen) {
  Lock lock(mutex_);
  if (leaving_ || aborted_) return;
  give_order([&] {
    return Order{Kind::Mismatch, Writer().u64(number).text(which.substr(0, kMaxCallTextBytes)).cause(seen).bytes(), seen, seen};
  });
}

// When it returns, the message is sent, so that the process may exit at once, and no callback is running.
std::optional<Departure> ControlPlane::leave(const std::optional<Departure>& mine) {
  Lock lock(mutex_);
  if (!leaving_) {
    leaving_ = true;
    give_order([&] {
      return Order{Kind::Leave, Writer().u32(mine.has_value()).departure(mine.value_or(Departure())).bytes(), {}, {}};
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

Status ControlPlane::start() {
  Status started = start_thread(&thread_, "tutti-control", [this] { run(); });
  if (!started.ok() && connection_) take_leave(*connection_, rank_, started);
  return started;
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
  // The hub has seen our connection end, so it has read all that this rank sent.
  if (hub_) hub_->stop(leaving_);
}

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

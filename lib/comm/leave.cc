// leave: how a rank leaves a communicator, and what it finds that others will miss.
#include "lib/comm/comm.h"

namespace tutti {

Status Comm::untaken_text(const std::vector<Untaken>& untaken) const {
  constexpr size_t kShown = 4;
  std::string text;
  for (size_t i = 0; i < untaken.size() && i < kShown; ++i) {
    const Untaken& one = untaken[i];
    const bool single = kind_of(one.wire.signature) == CallKind::PointToPoint;
    text += concat(i == 0 ? "" : "; ", "rank ", one.sender, " called ",
                   single ? describe_single(one.wire.signature, true, one.receiver) : describe(one.wire.signature), " [",
                   single ? "" : "collective ", "#", call_of(one.wire.call), "], and rank ", one.receiver, " has left without receiving what it sent");
  }
  if (untaken.size() > kShown) text += concat("; and ", untaken.size() - kShown, " more");
  return fail(Code::InvalidUsage, "ranks made different calls on ", title(), ": ", text);
}

Status Comm::differing(const Departure& mine, const Departure& other) const {
  const auto done = [](const Departure& one) {
    return one.calls == 0 ? std::string("no collective call")
                          : concat(one.calls, one.calls == 1 ? " collective call, " : " collective calls, the last of them ", one.last);
  };
  return fail(Code::InvalidUsage, "ranks made different calls on ", title(), ": rank ", rank(), " made ", done(mine), "; rank ", other.rank,
              " has left after ", done(other));
}

Status Comm::finalize(bool in_background) noexcept {
  life_.wait_settled();
  life_.wait_left();  // if another thread is at it
  const bool usable = life_.start_leaving();
  if (in_background && usable) return start("tutti-finalize", [this] { return found_ = leave(true); }, [this] { life_.finish_leaving(); });
  Status left = leave(usable);
  life_.finish_leaving();
  return left;
}

Status Comm::leave(bool usable) noexcept {
  try {
    return compare_and_leave(usable);
  } catch (const std::exception&) {
    if (links_.control) (void)links_.control->leave(std::nullopt);  // needs no memory. Without it the others would take this rank for dead
    return Status::out_of_memory();
  }
}

Status Comm::compare_and_leave(bool usable) {
  turns_.wait_idle();
  const auto counts = [&] { return usable && !life_.failed(); };  // after a failure nothing is compared
  Status left;
  if (counts()) {
    const Deadline deadline = Deadline::after_s(timeout_s());
    std::vector<Untaken> untaken;
    for (const auto& transport : links_.transports)
      if (Status status = transport->leave(deadline, untaken); left.ok()) left = std::move(status);
    if (!untaken.empty() && !life_.failed()) left = untaken_text(untaken);
  }
  if (!links_.control) return left;
  std::optional<Departure> mine;
  if (counts()) mine = underway_.departure();
  const std::optional<Departure> other = links_.control->leave(mine);
  // A mismatch that a message has shown says more than this one. A lost message says less.
  if (other && left.code() != Code::InvalidUsage) left = differing(*mine, *other);
  return left;
}

}  // namespace tutti

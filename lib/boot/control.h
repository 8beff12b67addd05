// control: one rank's control plane after joining. A thread watches the connection to rank 0's hub.
//
// Only the control thread (control_thread.cc) touches the connection. The communicator's threads (control.cc) leave orders under
// mutex_ and ring the bell. They hear of what came back under the same mutex (all_gather, leave) or through the callbacks.
// The hub has 2 s to answer a question (an abort, a timeout, a mismatch, a late all-gather). If it does not, rank 0 is to blame,
// because the hub lives in its process.
#pragma once
#include <limits>
#include <mutex>
#include <optional>

#include "lib/base/condition.h"
#include "lib/base/thread.h"
#include "lib/boot/bell.h"
#include "lib/boot/boot.h"
#include "lib/boot/join.h"

namespace tutti {

inline constexpr double kHubAnswerS = 2;
inline constexpr double kLeaveS = 1;  // for the last words to get out

// Sends what is queued, then waits until the hub has closed its side: closing before that might reset the connection, and the hub might
// lose the last words. Takes little more than kLeaveS at most.
void close_gently(Connection& connection);

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
  Status start();

  uint32_t number() const override { return number_; }
  Result<std::vector<std::string>> all_gather(const std::string& blob, Deadline deadline, const std::string& what) override;
  void abort(const Cause& cause) override;
  void report_timeout(uint64_t entered, const std::vector<int>& suspects, const std::string& text) override;
  void report_mismatch(uint64_t number, const std::string& which, const Cause& seen) override;
  std::optional<Departure> leave(const std::optional<Departure>& mine) override;

 private:
  // A frame to send. An order with causes is a question. Its answer is an abort: the hub's, or else one of the causes.
  struct Order {
    Kind kind;
    std::string payload;
    std::optional<Cause> if_silent;  // the hub does not answer
    std::optional<Cause> if_gone;    // the hub has said goodbye
  };
  using Lock = std::unique_lock<std::mutex>;

  template <typename Make>
  void give_order(const Make& make) noexcept;

  // The control thread: control_thread.cc.
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

  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  // Control thread only.
  std::optional<Connection> connection_;  // none: the hub is gone
  std::optional<Order> question_;
  int64_t answer_by_ns_ = kNever;  // when the answer to question_ is due

  std::mutex mutex_;  // guards all below
  Condition changed_;
  std::vector<Order> orders_;
  bool stopping_ = false, leaving_ = false, leave_sent_ = false;
  bool hub_gone_ = false, parted_ = false;
  std::optional<Departure> most_, fewest_;  // the hub's latest Parted
  bool abort_ordered_ = false, timeout_ordered_ = false;
  bool out_of_memory_ = false;  // an order could not be written: the connection has to end, and the others take this rank for dead
  std::optional<Cause> aborted_;
  uint32_t round_ = 0;
  std::vector<std::string> blobs_;
  size_t blobs_here_ = 0;
  Status gather_broken_;  // no round can follow a failed one
};

}  // namespace tutti

// control: one rank's part of the control plane: where the communicator's threads and the control thread meet.
//
// The communicator's threads (control.cc) leave orders under mutex_ and wake the control thread, which serves this rank's node of the tree
// (node.h). It obeys the orders, and reports what comes of them (control_thread.cc) under the same mutex, or through the callbacks.
// The root of the tree has 2.5 s to answer a question (an abort, a timeout, a mismatch, a late all-gather).
#pragma once
#include <mutex>
#include <optional>

#include "lib/base/condition.h"
#include "lib/boot/boot.h"
#include "lib/boot/join.h"
#include "lib/boot/server.h"

namespace tutti {

// A message for the root. Of kind Call: this rank waits in regenerate(), for so many milliseconds more.
struct Order {
  Kind kind;
  std::string payload;
};

class ControlPlane final : public Control {
 public:
  ControlPlane(int rank, int ranks, Callbacks callbacks) : rank_(rank), ranks_(static_cast<size_t>(ranks)), callbacks_(std::move(callbacks)) {}
  ~ControlPlane() override;
  Status enter(const Settings& settings, const UniqueId& id, const std::atomic<bool>& cancel);
  // Starts the control thread, which serves the tree at `listener`.
  Status serve(Descriptor listener, const Key& secret, const Nonce& salt);
  // Gives this rank its place in the tree.
  void place(Joined joined);

  uint32_t number() const override { return number_; }
  Result<std::vector<std::string>> all_gather(const std::string& blob, Deadline deadline, const std::string& what) override;
  void abort(const Cause& cause) override;
  void report_timeout(uint64_t entered, const std::vector<int>& suspects, const std::string& text) override;
  void report_mismatch(uint64_t number, const std::string& which, const Cause& seen) override;
  std::optional<Departure> leave(const std::optional<Departure>& mine) override;
  Result<Generation> regenerate(Deadline deadline) override;

  // ---- for the control thread

  // Throws std::bad_alloc if there was no memory for an order.
  std::vector<Order> take_orders();
  std::optional<Joined> take_place();
  Activity activity(uint64_t number) const { return callbacks_.activity ? callbacks_.activity(number) : Activity{}; }
  void welcome(uint32_t number);
  void take_gathered(const std::string& payload);
  // No round from `round` on can be completed.
  void break_gather(uint32_t round, const Status& why);
  // The communicator has failed. The first cause counts, and none after leave().
  void deliver(const Cause& cause);
  void departed(const Departure& departure);
  // The root has announced that this rank leaves. Ranks that are announced later compare their calls with this one's.
  void left();
  // leave() may return.
  void may_go();
  // What regenerate() returns.
  void settle(Result<Generation> generation);
  const std::function<Result<UniqueId>()>& make_id() const { return make_id_; }

 private:
  using Lock = std::unique_lock<std::mutex>;

  template <typename Make>
  void give_order(const Make& make) noexcept;
  Status await_welcome(const std::atomic<bool>& cancel, double left_s, const std::string& above);
  Status gather_failure() const;

  const int rank_;
  const size_t ranks_;
  const Callbacks callbacks_;
  std::unique_ptr<Server> server_;  // its thread is the control thread
  uint32_t number_ = 0;
  std::function<Result<UniqueId>()> make_id_;

  std::mutex mutex_;  // guards all below
  Condition changed_;
  std::vector<Order> orders_;
  std::optional<Joined> place_;
  bool welcome_ = false, leaving_ = false, left_ = false, may_go_ = false;
  std::optional<Departure> most_, fewest_;  // of the ranks that left before this one: the most and the fewest collective calls
  bool abort_ordered_ = false, timeout_ordered_ = false;
  bool out_of_memory_ = false;  // an order could not be written: the connections have to end, and the others take this rank for dead
  bool failing_ = false;  // on_abort() has been called, or is being called
  std::optional<Cause> aborted_;
  std::optional<Result<Generation>> generation_;
  uint32_t round_ = 0;
  std::vector<std::string> blobs_;
  size_t blobs_here_ = 0;
  uint32_t broken_round_ = UINT32_MAX;  // no round can follow a failed one
  Status gather_broken_;
};

}  // namespace tutti

// life: where a communicator is between its making and its end, and why it failed if it did.
//
//   Made -> Meeting -> Connecting -> Ready -> Leaving -> Left      forward only, but for
//                                    Ready <-> Splitting           while a split goes on in the background
//
// A failure may come in any phase, from any thread. The first one is kept; it ends every wait, is told to the other ranks, and is the
// answer to every later call. There is no way back from it. Abort and revoke are failures with sentences of their own.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>

#include "lib/boot/boot.h"
#include "lib/transport/transport.h"

namespace tutti {

class Life {
 public:
  // on_failure: called once this rank has failed, and maybe again later; not for a failure before the ranks have met. Any thread; must not
  // wait.
  explicit Life(int rank, std::function<void(const Status&)> on_failure = {}) : rank_(rank), on_failure_(std::move(on_failure)) {}

  // Whether calls can be made. If not, refusal() says why.
  bool usable() const { return phase_.load(std::memory_order_acquire) == Phase::Ready && !failed(); }
  Status refusal() const;
  // InProgress during a split in the background: the split may still write the new communicator's handle, even after a failure. Else the failure;
  // else InProgress while the ranks meet and connect, and while this rank leaves; else success. Any thread.
  Status state() const;
  // The failure, or success. Any thread.
  Status failure() const;
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  // The same for waits elsewhere, which end when it is set.
  const std::atomic<bool>& failed_flag() const { return failed_; }

  // The phases; the thread that makes the communicator.
  void start_meeting();
  // All ranks have met. From now on failures are told to them through `control`, which outlives the use of this object. Returns the failure
  // that has come before.
  Status start_connecting(Control& control);
  // Ready, or failed. From now on a failure wakes who sleeps at these transports, which outlive the use of this object.
  void finish_connecting(std::span<const std::unique_ptr<Transport>> transports);
  // Whether start_connecting() has been called. What its caller wrote before is seen. Any thread.
  bool has_met() const { return phase_.load(std::memory_order_acquire) >= Phase::Connecting; }
  // Until no init and no split is going on. Any thread.
  void wait_settled() const;
  // Ready -> Splitting, and back. False: this rank is not usable.
  bool start_splitting();
  void finish_splitting();
  // To Leaving, then to Left. Returns whether this rank was usable until now.
  bool start_leaving();
  void finish_leaving();
  bool leaving() const { return phase_.load(std::memory_order_acquire) == Phase::Leaving; }
  // Returns at once if this rank is not leaving. Any thread.
  void wait_left() const;

  // Keeps a failure that all ranks hear of, unless there is one already. Any thread.
  void hear(const Cause& cause) noexcept;
  // The same for a failure of which the others have to be told. If there is no memory to tell them, they notice when this rank's connection
  // ends. Any thread.
  void fail(const Cause& cause) noexcept;
  // Fails here and on the other ranks, but does not wait. Errors: the failure that has come before, or InvalidUsage (finalized). Any thread.
  Status revoke() noexcept;
  // A failure of the parent communicator, or of another rank of this process, while this rank has not met the others. Does nothing later.
  void end_meeting(const Status& failure) noexcept;
  // Fails here and on the other ranks. An init or a split that is going on ends before this call returns. Any thread.
  void abort() noexcept;
  // A child of a split that is meeting; null: it is not. A failure of this communicator ends the child's meeting. Afterwards the child
  // notices deaths itself.
  void set_meeting_child(Life* child);

 private:
  enum class Phase : uint8_t { Made, Meeting, Connecting, Ready, Splitting, Leaving, Left };
  static const char* doing(Phase phase);
  static Status finalized();
  // REQUIRES: mutex_ is locked.
  void keep(const Status& failure) noexcept;
  void report() noexcept;
  void tell(Code code, int guilty, const std::string& text) noexcept;

  const int rank_;
  const std::function<void(const Status&)> on_failure_;
  std::atomic<Phase> phase_{Phase::Made};
  std::atomic<bool> failed_{false};
  mutable std::mutex mutex_;  // guards all below, and changes of phase_
  Status failure_;
  bool told_ = false;  // the others hear of the failure, or abort() tells them
  Control* control_ = nullptr;
  std::span<const std::unique_ptr<Transport>> transports_;
  Life* meeting_child_ = nullptr;
};

}  // namespace tutti

// control_thread: what the control thread reports to the communicator's threads; see control.h.
#include <new>

#include "lib/base/log.h"
#include "lib/boot/control.h"

namespace tutti {

std::vector<Order> ControlPlane::take_orders() {
  std::vector<Order> orders;
  Lock lock(mutex_);
  if (std::exchange(out_of_memory_, false)) throw std::bad_alloc();
  orders.swap(orders_);
  return orders;
}

std::optional<Joined> ControlPlane::take_place() {
  Lock lock(mutex_);
  std::optional<Joined> place = std::move(place_);
  place_.reset();
  return place;
}

void ControlPlane::welcome(uint32_t number) {
  Lock lock(mutex_);
  number_ = number;
  welcome_ = true;
  changed_.notify_all();
}

void ControlPlane::take_gathered(const std::string& payload) {
  Reader in(payload);
  const uint32_t round = in.u32();
  const size_t first = in.u32(), count = in.u32();
  Lock lock(mutex_);
  if (round != round_ || first != blobs_here_ || first + count > blobs_.size()) return;
  for (size_t i = 0; i < count; ++i) blobs_[first + i] = in.text(kMaxBlobBytes);
  if (!in.ok()) return;
  blobs_here_ = first + count;
  if (blobs_here_ == ranks_) changed_.notify_all();
}

void ControlPlane::break_gather(uint32_t round, const Status& why) {
  Lock lock(mutex_);
  if (round >= broken_round_) return;
  broken_round_ = round;
  gather_broken_ = why;
  changed_.notify_all();
}

void ControlPlane::deliver(const Cause& cause) {
  bool joined = false;
  {
    Lock lock(mutex_);
    if (aborted_ || leaving_) return;
    joined = welcome_;
    failing_ = true;
  }
  // The callback comes before all_gather() returns the cause: a caller that sees it fail must find the communicator failed. While the ranks
  // join, join() returns it.
  if (joined && callbacks_.on_abort) callbacks_.on_abort(cause);
  Lock lock(mutex_);
  aborted_ = cause;
  changed_.notify_all();
}

void ControlPlane::departed(const Departure& departure) {
  Lock lock(mutex_);
  if (left_ || departure.rank == rank_) return;  // those that leave later compare themselves with this rank
  if (!most_ || departure.calls > most_->calls) most_ = departure;
  if (!fewest_ || departure.calls < fewest_->calls) fewest_ = departure;
}

void ControlPlane::left() {
  Lock lock(mutex_);
  left_ = true;
}

void ControlPlane::settle(Result<Generation> generation) {
  Lock lock(mutex_);
  generation_.emplace(std::move(generation));
  changed_.notify_all();
}

void ControlPlane::may_go() {
  Lock lock(mutex_);
  may_go_ = true;
  changed_.notify_all();
}

}  // namespace tutti

// host_stream: see host_stream.h.
#include "lib/comm/host_stream.h"

#include "lib/base/thread.h"

namespace tutti {

Result<std::unique_ptr<Stream>> HostStream::start() {
  std::unique_ptr<HostStream> stream(new HostStream);
  HostStream* const self = stream.get();
  TUTTI_TRY(start_thread(&stream->thread_, "tutti-stream", [self] { self->work(); }));
  return std::unique_ptr<Stream>(std::move(stream));
}

HostStream::~HostStream() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Status HostStream::synchronize() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return queue_.empty() && !busy_; });
  return std::exchange(first_failure_, {});
}

Status HostStream::query() {
  std::lock_guard lock(mutex_);
  if (!queue_.empty() || busy_) return fail(Code::InProgress, "");
  return first_failure_;
}

void HostStream::push(Queue&& entries) noexcept {
  {
    std::lock_guard lock(mutex_);
    queue_.splice(queue_.end(), entries);
  }
  changed_.notify_all();
}

void HostStream::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return !queue_.empty() || ending_; });
    if (queue_.empty()) return;
    const Entry entry = std::move(queue_.front());
    queue_.pop_front();
    busy_ = true;
    lock.unlock();
    Status status = run_entry(entry);
    lock.lock();
    busy_ = false;
    if (first_failure_.ok()) first_failure_ = std::move(status);
    changed_.notify_all();
  }
}

}  // namespace tutti

// stream: see stream.h.
#include "lib/comm/stream.h"

#include <algorithm>
#include <exception>

#include "lib/base/float_mode.h"
#include "lib/base/thread.h"

namespace tutti {
namespace {

// For a worker, whose thread no exception may leave: running out of memory in the middle ends the communicators.
Status run_batch_guarded(Batch& batch) {
  try {
    return run_batch(batch);
  } catch (const std::exception&) {
    Status status = Status::out_of_memory();
    for (Part& part : batch.parts) part.comm->fail_all(status.code(), part.comm->rank(), status.text());
    return status;
  }
}

// Orders the submissions of all threads: guards no data, only that tickets and queue places are taken together.
std::mutex& submission_mutex() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

Result<std::unique_ptr<Stream>> Stream::start() {
  std::unique_ptr<Stream> stream(new Stream);
  Stream* const self = stream.get();
  TUTTI_TRY(start_thread(&stream->thread_, "tutti-stream", [self] { self->work(); }));
  return stream;
}

Stream::~Stream() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Status Stream::synchronize() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return queue_.empty() && !busy_; });
  return std::exchange(first_failure_, {});
}

Status Stream::query() {
  std::lock_guard lock(mutex_);
  if (!queue_.empty() || busy_) return fail(Code::InProgress, "");
  return first_failure_;
}

void Stream::push(Queue&& entries) noexcept {
  {
    std::lock_guard lock(mutex_);
    queue_.splice(queue_.end(), entries);
  }
  changed_.notify_all();
}

void Stream::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return !queue_.empty() || ending_; });
    if (queue_.empty()) return;
    const Entry entry = std::move(queue_.front());
    queue_.pop_front();
    busy_ = true;
    lock.unlock();

    Batch& batch = *entry.batch;
    std::unique_lock batch_lock(batch.mutex);
    --batch.streams_to_come;
    batch.changed.notify_all();
    if (entry.leads) {
      batch.changed.wait(batch_lock, [&] { return batch.streams_to_come == 0; });
      batch_lock.unlock();
      Status status = run_batch_guarded(batch);
      batch_lock.lock();
      batch.status = std::move(status);
      batch.done = true;
      batch.changed.notify_all();
    } else {
      batch.changed.wait(batch_lock, [&] { return batch.done; });
    }
    const Status status = batch.status;
    batch_lock.unlock();

    lock.lock();
    busy_ = false;
    if (first_failure_.ok() && !status.ok()) first_failure_ = status;
    changed_.notify_all();
  }
}

Status run_batch(Batch& batch) {
  // Whatever happens, the next in line gets its turn.
  struct Turns {
    Batch& batch;
    ~Turns() {
      for (Part& part : batch.parts) part.comm->end_turn_and_tell();
    }
  } turns{batch};
  for (Part& part : batch.parts) part.comm->wait_turn(part.ticket);
  if (batch.parts.size() == 1) return batch.parts[0].comm->run(batch.parts[0].calls);
  const DefaultFloatMode mode;
  try {
    std::vector<Underway*> batches;
    batches.reserve(batch.parts.size());
    for (Part& part : batch.parts) {
      part.comm->underway().load(part.calls);
      batches.push_back(&part.comm->underway());
    }
    drive(batches);
  } catch (const std::exception&) {
    for (Part& part : batch.parts) part.comm->underway().abandon();
  }
  for (Part& part : batch.parts)
    if (!part.comm->underway().status().ok()) return part.comm->underway().status();
  return {};
}

namespace {

void take_tickets(Batch& batch) {
  for (Part& part : batch.parts) part.ticket = part.comm->take_ticket();
}

Status queue(const std::shared_ptr<Batch>& batch, const std::vector<Stream*>& streams) {
  std::vector<Stream::Queue> entries(streams.size());  // made before the tickets are taken: after that nothing may fail
  bool waits = false;
  for (size_t i = 0; i < streams.size(); ++i) {
    if (!streams[i])
      waits = true;
    else
      entries[i].push_back({batch, batch->streams_to_come++ == 0});
  }
  {
    std::lock_guard lock(submission_mutex());
    take_tickets(*batch);
    for (size_t i = 0; i < streams.size(); ++i)
      if (streams[i]) streams[i]->push(std::move(entries[i]));
  }
  if (!waits) return {};
  std::unique_lock lock(batch->mutex);
  batch->changed.wait(lock, [&] { return batch->done; });
  return batch->status;
}

}  // namespace

Status submit(std::shared_ptr<Batch> batch, const std::vector<Stream*>& streams) {
  if (!std::all_of(streams.begin(), streams.end(), [](Stream* stream) { return !stream; })) return queue(batch, streams);
  {
    std::lock_guard lock(submission_mutex());
    take_tickets(*batch);
  }
  return run_batch(*batch);
}

}  // namespace tutti

// stream: see stream.h.
#include "lib/comm/stream.h"

#include <algorithm>
#include <exception>

#include "lib/base/thread.h"

namespace tutti {
namespace {

// For a worker, whose thread no exception may leave: running out of memory in the middle ends the communicators.
Status run_batch_guarded(Batch& batch) {
  try {
    return run_batch(batch);
  } catch (const std::exception& error) {
    Status status = fail(Code::SystemError, "a queued call could not be run: ", reason_of(error));
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

bool Stream::idle() {
  std::lock_guard lock(mutex_);
  return queue_.empty() && !busy_;
}

void Stream::push(std::shared_ptr<Batch> batch, bool leads) {
  {
    std::lock_guard lock(mutex_);
    queue_.push_back({std::move(batch), leads});
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
    std::vector<Comm*> taken;
    ~Turns() {
      for (Comm* comm : taken) comm->end_turn_and_tell();
    }
  } turns;
  turns.taken.reserve(batch.parts.size());
  for (Part& part : batch.parts) {
    part.comm->wait_turn(part.ticket);
    turns.taken.push_back(part.comm);
  }
  if (batch.parts.size() == 1) return batch.parts[0].comm->run(batch.parts[0].calls);
  try {
    for (Part& part : batch.parts) part.comm->load(part.calls);
    drive(turns.taken);
  } catch (const std::exception& error) {
    for (Part& part : batch.parts) part.comm->abandon(error);
  }
  for (Part& part : batch.parts)
    if (!part.comm->batch_status().ok()) return part.comm->batch_status();
  return {};
}

Status submit(std::shared_ptr<Batch> batch, const std::vector<Stream*>& streams) {
  const bool inline_only = std::all_of(streams.begin(), streams.end(), [](Stream* stream) { return !stream; });
  const bool waits = std::find(streams.begin(), streams.end(), nullptr) != streams.end();
  {
    std::lock_guard lock(submission_mutex());
    for (Part& part : batch->parts) part.ticket = part.comm->take_ticket();
    if (!inline_only) {
      bool leads = true;
      batch->streams_to_come = static_cast<int>(std::count_if(streams.begin(), streams.end(), [](Stream* s) { return s; }));
      for (Stream* stream : streams) {
        if (!stream) continue;
        stream->push(batch, leads);
        leads = false;
      }
    }
  }
  if (inline_only) return run_batch(*batch);
  if (!waits) return {};
  std::unique_lock lock(batch->mutex);
  batch->changed.wait(lock, [&] { return batch->done; });
  return batch->status;
}

}  // namespace tutti

// stream: see stream.h.
#include "lib/comm/stream.h"

#include <algorithm>
#include <atomic>
#include <exception>

#include "lib/base/float_mode.h"

namespace tutti {
namespace {

// Runs a batch in this thread, after its turn has come on every communicator.
Status run_batch(Batch& batch) {
  // Whatever happens, the next in line gets its turn.
  struct Turns {
    Batch& batch;
    ~Turns() {
      for (Part& part : batch.parts) {
        if (batch.stream != 0) part.comm->underway().set_stream(0, {});
        part.comm->end_turn_and_tell();
      }
    }
  } turns{batch};
  for (Part& part : batch.parts) {
    part.comm->wait_turn(part.ticket);
    if (batch.stream != 0) part.comm->underway().set_stream(batch.stream, part.calls);
  }
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

// For a stream's thread, which no exception may leave: running out of memory in the middle ends the communicators.
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

void take_tickets(Batch& batch) {
  for (Part& part : batch.parts) part.ticket = part.comm->take_ticket();
}

Status queue(const std::shared_ptr<Batch>& batch, const std::vector<Stream*>& streams) {
  std::vector<Stream::Queue> entries(streams.size());  // made before the tickets are taken: after that nothing may fail
  bool waits = false;
  for (size_t i = 0; i < streams.size(); ++i) {
    if (!streams[i]) {
      waits = true;
      continue;
    }
    if (batch->streams_to_come == 0) batch->stream = streams[i]->number();
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

uint32_t next_stream_number() {
  static std::atomic<uint32_t> last{0};
  return ++last;
}

}  // namespace

Stream::Stream() : number_(next_stream_number()) {}

Status run_entry(const Stream::Entry& entry) noexcept {
  Batch& batch = *entry.batch;
  std::unique_lock lock(batch.mutex);
  --batch.streams_to_come;
  batch.changed.notify_all();
  if (!entry.leads) {
    batch.changed.wait(lock, [&] { return batch.done; });
    return batch.status;
  }
  batch.changed.wait(lock, [&] { return batch.streams_to_come == 0; });
  lock.unlock();
  Status status = run_batch_guarded(batch);
  lock.lock();
  batch.status = std::move(status);
  batch.done = true;
  batch.changed.notify_all();
  return batch.status;
}

Status submit(std::shared_ptr<Batch> batch, const std::vector<Stream*>& streams) {
  if (!std::all_of(streams.begin(), streams.end(), [](Stream* stream) { return !stream; })) return queue(batch, streams);
  {
    std::lock_guard lock(submission_mutex());
    take_tickets(*batch);
  }
  return run_batch(*batch);
}

}  // namespace tutti

// stream: an ordered queue of batches with a thread that runs them; and batches, the unit that runs.
//
// A batch is what one call, or one outermost group, asks of one or more communicators. It runs in one thread: the caller's if
// all its calls are on stream NULL, else the worker of its first stream, while the workers of its other streams wait for it.
// Tickets of communicators and places in queues are taken under one lock, so that all orders agree and nothing can deadlock.
#pragma once
#include <list>
#include <memory>
#include <mutex>

#include "lib/base/condition.h"
#include "lib/comm/comm.h"

namespace tutti {

struct Part {
  Comm* comm;
  std::vector<Call> calls;
  uint64_t ticket = 0;
};

struct Batch {
  std::vector<Part> parts;
  // Guarded by mutex, for batches on streams.
  std::mutex mutex;
  Condition changed;
  int streams_to_come = 0;  // workers that have not reached this batch yet
  bool done = false;
  Status status;
};

class Stream {
 public:
  static Result<std::unique_ptr<Stream>> start();
  ~Stream();  // runs what is queued, then ends the thread
  // Waits until all that is queued has run. Returns the first failure since the last synchronize().
  Status synchronize();
  // Does not wait: InProgress, or what synchronize() would return.
  Status query();
  // A batch is shared by the workers that meet at it and a caller who may wait for it: none of them outlives the others for
  // sure, hence shared_ptr.
  struct Entry {
    std::shared_ptr<Batch> batch;
    bool leads;  // this worker runs it; others only wait for it
  };
  using Queue = std::list<Entry>;
  void push(Queue&& entries) noexcept;

 private:
  Stream() = default;
  void work();

  std::mutex mutex_;
  Condition changed_;
  Queue queue_;
  bool busy_ = false, ending_ = false;
  Status first_failure_;
  Thread thread_;
};

// Runs a batch in this thread, after its turn has come on every communicator.
Status run_batch(Batch& batch);

// Queues or runs: streams are the distinct streams of the batch's calls, null for stream NULL.
Status submit(std::shared_ptr<Batch> batch, const std::vector<Stream*>& streams);

}  // namespace tutti

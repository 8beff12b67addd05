// stream: an ordered queue of batches, as an interface; and batches, the unit that runs.
//
// A batch is what one call, or one outermost group, asks of one or more communicators. It runs in one thread: the caller's if
// all its calls are on stream NULL, else that of its first stream, while its other streams wait for it. Streams of any kind may share a
// batch. Tickets of communicators and places in queues are taken under one lock, so that all orders agree and nothing can deadlock.
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
  uint32_t stream = 0;  // that runs it, by its number; 0: stream NULL
  // Guarded by mutex, for batches on streams.
  std::mutex mutex;
  Condition changed;
  int streams_to_come = 0;  // streams that have not reached this batch yet
  bool done = false;
  Status status;
};

class Stream {
 public:
  // A batch is shared by the streams that meet at it and a caller who may wait for it: none of them outlives the others for
  // sure, hence shared_ptr.
  struct Entry {
    std::shared_ptr<Batch> batch;
    bool leads;  // this stream runs it; others only wait for it
  };
  using Queue = std::list<Entry>;

  // Runs what is queued before it returns.
  virtual ~Stream() = default;
  // Appends the entries. The stream calls run_entry() for each of them, in order, when all that came before is done. Must not wait:
  // other submissions stand still meanwhile.
  virtual void push(Queue&& entries) noexcept = 0;
  // Waits until all that is queued has run. Returns the first failure since the last synchronize(). Any thread.
  virtual Status synchronize() = 0;
  // Does not wait: InProgress, or what synchronize() would return. Any thread.
  virtual Status query() = 0;

  // 1, 2, 3 in this process.
  uint32_t number() const { return number_; }

 protected:
  Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

 private:
  const uint32_t number_;
};

// For streams: the batch is done when it returns, and the result is how it ended. Waits for the batch's other streams to come, or to end it;
// so each stream calls it in a thread that others do not need.
Status run_entry(const Stream::Entry& entry) noexcept;

// Queues or runs: streams are the distinct streams of the batch's calls, null for stream NULL.
Status submit(std::shared_ptr<Batch> batch, const std::vector<Stream*>& streams);

}  // namespace tutti

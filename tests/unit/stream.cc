// stream: calls and groups know streams by their interface only. Here is a second kind: like a foreign stream, it runs an entry when
// somebody else says so.
#include "lib/comm/stream.h"

#include <array>

#include "lib/api/front/tables.h"
#include "lib/base/thread.h"
#include "tests/catch.h"
#include "tests/harness/pair.h"

namespace tutti {
namespace {

class HeldStream final : public Stream {
 public:
  ~HeldStream() override { (void)synchronize(); }
  void push(Queue&& entries) noexcept override {
    {
      std::lock_guard lock(mutex_);
      queue_.splice(queue_.end(), entries);
    }
    changed_.notify_all();
  }
  Status synchronize() override {
    while (run_next()) {
    }
    std::lock_guard lock(mutex_);
    return std::exchange(first_failure_, {});
  }
  Status query() override {
    std::lock_guard lock(mutex_);
    return queue_.empty() ? first_failure_ : fail(Code::InProgress, "");
  }

  // Runs the next entry in this thread. False: there is none.
  bool run_next() {
    std::unique_lock lock(mutex_);
    if (queue_.empty()) return false;
    const Entry entry = queue_.front();
    lock.unlock();
    const Status status = run_entry(entry);
    lock.lock();
    queue_.pop_front();
    if (first_failure_.ok()) first_failure_ = status;
    return true;
  }
  // The same, but waits until there is one. False: none came in time.
  bool run_when_queued() {
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait_until(lock, Deadline::after_s(20), [&] { return !queue_.empty(); })) return false;
    }
    return run_next();
  }

 private:
  std::mutex mutex_;
  Condition changed_;
  Queue queue_;
  Status first_failure_;
};

// A held stream that calls can be given.
struct Held {
  Held() : stream(new HeldStream), handle(reinterpret_cast<tuttiStream_t>(front::stream_table().insert(stream))) {}
  ~Held() { CHECK(tuttiStreamDestroy(handle) == tuttiSuccess); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

  HeldStream* const stream;
  const tuttiStream_t handle;
};

struct Hosted {
  Hosted() { REQUIRE(tuttiStreamCreate(&handle) == tuttiSuccess); }
  ~Hosted() { CHECK(tuttiStreamDestroy(handle) == tuttiSuccess); }
  Hosted(const Hosted&) = delete;
  Hosted& operator=(const Hosted&) = delete;

  tuttiStream_t handle = nullptr;
};

struct SummingPair : test::Pair {
  // The sum of both ranks' numbers, in one group. The results are there when both streams say so.
  void sum(tuttiStream_t first, tuttiStream_t second) {
    out = {-1, -1};
    REQUIRE(tuttiGroupStart() == tuttiSuccess);
    CHECK(tuttiAllReduce(&in[0], &out[0], 1, tuttiInt, tuttiSum, comms[0], first) == tuttiSuccess);
    CHECK(tuttiAllReduce(&in[1], &out[1], 1, tuttiInt, tuttiSum, comms[1], second) == tuttiSuccess);
    REQUIRE(tuttiGroupEnd() == tuttiSuccess);
  }
  void check_sum() const { CHECK(out == std::array<int, 2>{in[0] + in[1], in[0] + in[1]}); }

  std::array<int, 2> in{3, 4}, out{};
};

}  // namespace

TEST_CASE("a call waits until its stream runs it") {
  tuttiComm_t comm = nullptr;
  REQUIRE(tuttiCommInitAll(&comm, 1, nullptr) == tuttiSuccess);
  {
    Held held;
    int in = 5, out[2] = {-1, -1};
    for (int& one : out) REQUIRE(tuttiAllReduce(&in, &one, 1, tuttiInt, tuttiSum, comm, held.handle) == tuttiSuccess);
    CHECK(tuttiStreamQuery(held.handle) == tuttiInProgress);
    CHECK((out[0] == -1 && out[1] == -1));
    CHECK(held.stream->run_next());
    CHECK((out[0] == 5 && out[1] == -1));
    CHECK(tuttiStreamQuery(held.handle) == tuttiInProgress);
    CHECK(tuttiStreamSynchronize(held.handle) == tuttiSuccess);
    CHECK(out[1] == 5);
    CHECK(tuttiStreamQuery(held.handle) == tuttiSuccess);
  }
  CHECK(tuttiCommDestroy(comm) == tuttiSuccess);
}

TEST_CASE("a batch on streams of both kinds runs when both have come to it") {
  SummingPair pair;
  Held held;
  Hosted hosted;
  const auto check = [&](tuttiStream_t first, tuttiStream_t second) {
    pair.sum(first, second);
    CHECK(tuttiStreamQuery(hosted.handle) == tuttiInProgress);  // it has to wait for the other
    CHECK(pair.out == std::array<int, 2>{-1, -1});
    CHECK(held.stream->run_next());
    CHECK(tuttiStreamSynchronize(hosted.handle) == tuttiSuccess);
    CHECK(tuttiStreamSynchronize(held.handle) == tuttiSuccess);
    pair.check_sum();
  };
  check(hosted.handle, held.handle);  // the host stream runs the batch
  check(held.handle, hosted.handle);  // the held stream does
}

TEST_CASE("batches that meet streams in different orders all come to an end") {
  SummingPair first, second;
  Held held;
  Hosted hosted;
  first.sum(held.handle, hosted.handle);
  second.sum(hosted.handle, held.handle);
  CHECK(held.stream->run_next());
  first.check_sum();
  CHECK(held.stream->run_next());
  CHECK(tuttiStreamSynchronize(hosted.handle) == tuttiSuccess);
  second.check_sum();
}

TEST_CASE("a group with a call on no stream returns when its streams have run it") {
  SummingPair pair;
  Held held;
  bool ran = false;
  Thread runner;
  REQUIRE(start_thread(&runner, "runner", [&] { ran = held.stream->run_when_queued(); }).ok());
  pair.sum(held.handle, nullptr);
  pair.check_sum();
  runner.join();
  CHECK(ran);
}

TEST_CASE("a batch on two held streams waits for both") {
  SummingPair pair;
  Held first, second;
  bool ran = false;
  Thread runner;
  pair.sum(first.handle, second.handle);
  REQUIRE(start_thread(&runner, "runner", [&] { ran = first.stream->run_next(); }).ok());
  CHECK(second.stream->run_next());
  runner.join();
  CHECK(ran);
  pair.check_sum();
}

TEST_CASE("a failure is told by every stream of the batch") {
  std::array<tuttiComm_t, 2> comms{};
  REQUIRE(tuttiCommInitAll(comms.data(), 2, nullptr) == tuttiSuccess);
  {
    Held held;
    Hosted hosted;
    int in[2] = {}, out[2] = {};
    REQUIRE(tuttiGroupStart() == tuttiSuccess);
    CHECK(tuttiAllReduce(in, out, 2, tuttiInt, tuttiSum, comms[0], held.handle) == tuttiSuccess);
    CHECK(tuttiAllReduce(in, out, 1, tuttiInt, tuttiSum, comms[1], hosted.handle) == tuttiSuccess);
    REQUIRE(tuttiGroupEnd() == tuttiSuccess);
    CHECK(held.stream->run_next());
    CHECK(tuttiStreamSynchronize(hosted.handle) == tuttiInvalidUsage);
    CHECK(tuttiStreamQuery(held.handle) == tuttiInvalidUsage);
    CHECK(tuttiStreamSynchronize(held.handle) == tuttiInvalidUsage);
    CHECK(tuttiStreamSynchronize(held.handle) == tuttiSuccess);  // told once
  }
  for (tuttiComm_t comm : comms) CHECK(tuttiCommAbort(comm) == tuttiSuccess);
}

}  // namespace tutti

// out_of_memory: allocations in the life of a communicator fail: one alone, or one and all after it. The library returns an error and does
// not end the process. When there is memory again, it works again.
//
// malloc, calloc and realloc fail, and so does operator new, which calls malloc. That includes the allocations of the C library itself.
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <new>
#include <thread>

#include "tests/fault/board.h"

namespace {

std::atomic<bool> counting{false};
std::atomic<int64_t> allocations{0}, first_to_fail{INT64_MAX}, last_to_fail{0};

bool fails() {
  if (!counting.load(std::memory_order_relaxed)) return false;
  const int64_t number = allocations.fetch_add(1, std::memory_order_relaxed);
  return number >= first_to_fail.load(std::memory_order_relaxed) && number <= last_to_fail.load(std::memory_order_relaxed);
}

}  // namespace

extern "C" {
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* malloc(size_t bytes) { return fails() ? (errno = ENOMEM, nullptr) : __libc_malloc(bytes); }
void* calloc(size_t count, size_t bytes) { return fails() ? (errno = ENOMEM, nullptr) : __libc_calloc(count, bytes); }
void* realloc(void* memory, size_t bytes) { return fails() ? (errno = ENOMEM, nullptr) : __libc_realloc(memory, bytes); }
}

using namespace tutti::test;

namespace {

// Remembers whether all calls succeeded. A result that a lack of memory cannot cause ends the process.
class Life {
 public:
  bool good() const { return good_; }
  bool is_good(tuttiResult_t result, const char* what) {
    if (result == tuttiSuccess) return true;
    good_ = false;
    if (result == tuttiSystemError || result == tuttiRemoteError || result == tuttiInvalidUsage) return false;
    std::fprintf(stderr, "%s says %d: %s\n", what, result, tuttiGetLastError(nullptr));
    std::_Exit(3);
  }

 private:
  bool good_ = true;
};

// Two ranks of one process, driven by one thread in groups, make calls of many kinds. Returns whether all succeeded.
bool live() {
  Life life;
  std::vector<float> in, out;
  std::vector<size_t> counts;
  counting = false;
  in.assign(400'000, 1);
  out.assign(400'000, 0);
  counts.assign(2, 1000);
  counting = true;
  tuttiComm_t comms[2] = {}, children[2] = {};
  tuttiStream_t stream = nullptr;
  void *memory = nullptr, *registration = nullptr;
  (void)life.is_good(tuttiMemAlloc(&memory, 100'000), "MemAlloc");
  if (life.is_good(tuttiCommInitAll(comms, 2, nullptr), "CommInitAll")) {
    const auto in_group = [&](const char* what, auto call) {
      if (!life.is_good(tuttiGroupStart(), "GroupStart")) return false;
      bool good = true;
      for (const tuttiComm_t comm : comms) good &= life.is_good(call(comm), what);
      return life.is_good(tuttiGroupEnd(), what) && good;
    };
    (void)life.is_good(tuttiCommRegister(comms[0], in.data(), 4000, &registration), "Register");
    (void)life.is_good(tuttiStreamCreate(&stream), "StreamCreate");
    bool good = true;
    for (const size_t count : {size_t{2}, size_t{3000}, in.size() / 2})
      good = good && in_group("AllReduce", [&](tuttiComm_t c) { return tuttiAllReduce(in.data(), out.data(), count, tuttiFloat, tuttiSum, c, nullptr); });
    good = good && in_group("AlltoAllV", [&](tuttiComm_t c) {
      return tuttiAlltoAllV(in.data(), counts.data(), nullptr, out.data(), counts.data(), nullptr, tuttiFloat, c, nullptr);
    });
    if (stream && good)
      good = in_group("Broadcast on a stream", [&](tuttiComm_t c) { return tuttiBcast(out.data() + (c == comms[0]) * 1000, 1000, tuttiFloat, 0, c, stream); }) &&
             life.is_good(tuttiStreamSynchronize(stream), "StreamSynchronize");
    good = good && life.is_good(tuttiGroupStart(), "GroupStart");
    for (int rank = 0; good && rank < 2; ++rank) (void)life.is_good(tuttiCommSplit(comms[rank], 0, -rank, &children[rank], nullptr), "CommSplit");
    if (good) (void)life.is_good(tuttiGroupEnd(), "CommSplit");
  }
  if (stream) (void)life.is_good(tuttiStreamDestroy(stream), "StreamDestroy");
  counting = false;  // destroying may not fail
  for (tuttiComm_t* const list : {children, comms})
    for (int rank = 0; rank < 2; ++rank)
      if (list[rank]) (void)life.is_good(tuttiCommDestroy(list[rank]), "CommDestroy");
  if (memory) (void)life.is_good(tuttiMemFree(memory), "MemFree");
  return life.good();
}

// Runs live() in a child with failing allocations, then without. 0: the second life succeeded; 1: it did not; else the child crashed.
int live_twice(int64_t first, int64_t last) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    allocations = 0;
    first_to_fail = first;
    last_to_fail = last;
    (void)live();
    first_to_fail = INT64_MAX;
    _exit(live() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The allocations of one life. Runs it in a child, so that this process starts no thread.
int64_t allocations_of_a_life() {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  if (fork() == 0) {
    (void)live();
    const int64_t count = allocations;
    _exit(write(ends[1], &count, sizeof count) == sizeof count ? 0 : 1);
  }
  int64_t count = 0;
  REQUIRE(read(ends[0], &count, sizeof count) == sizeof count);
  for (const int end : ends) close(end);
  wait(nullptr);
  return count;
}

}  // namespace

TEST_CASE("a thread that has no memory for anything of its own gets errors, and their sentence later", "[fault]") {
  tuttiResult_t started = tuttiSuccess, counted = tuttiSuccess, ended = tuttiSuccess;
  std::string text;
  std::thread([&] {
    int ranks = 0;
    allocations = 0;
    first_to_fail = 0;
    last_to_fail = INT64_MAX - 1;
    counting = true;
    started = tuttiGroupStart();
    counted = tuttiCommCount(nullptr, &ranks);
    counting = false;
    first_to_fail = INT64_MAX;
    text = tuttiGetLastError(nullptr);
    ended = tuttiGroupEnd();
  }).join();
  CHECK(started == tuttiSystemError);
  CHECK(counted == tuttiSystemError);  // there is no memory to say that comm is NULL
  CHECK(text == "out of memory");
  CHECK(ended == tuttiInvalidUsage);  // no group is open
}

TEST_CASE("no allocation that fails ends the process", "[fault]") {
  setenv("TUTTI_INIT_TIMEOUT", "10", 1);
  setenv("TUTTI_TIMEOUT", "10", 1);
  const int64_t all = allocations_of_a_life();
  REQUIRE(all > 1000);
  std::mt19937_64 random(test_seed());
  constexpr int kTries = 400;
  int wrong = 0;
  for (int i = 0; i < kTries && wrong < 3; ++i) {
    // First each of the first allocations, then random ones.
    const int64_t first = i < kTries / 2 ? i : static_cast<int64_t>(random() % static_cast<uint64_t>(all));
    const int64_t last = i % 2 ? first : INT64_MAX - 1;
    INFO("allocation " << first << " of about " << all << (last == first ? " fails" : " and all after it fail"));
    const double begin = now_s();
    const int code = live_twice(first, last);
    CHECK(now_s() - begin < 8);  // no rank waits for one that has failed
    CHECK(code == 0);
    wrong += code != 0;
  }
}

// callback_memory: there is no memory for a message that comes before the rank has called Recv. Over UCX this happens in a function that
// UCX calls. UCX is C, so no exception may leave that function. The rank fails with "out of memory", and the process lives.
#include <cstdlib>
#include <new>

#include "tests/fault/board.h"

namespace {

std::atomic<size_t> largest_bytes{SIZE_MAX};  // operator new refuses more than this

}  // namespace

// Not inline: gcc would inline only one of the pair, and warn.
[[gnu::noinline]] void* operator new(size_t bytes) {
  void* const memory = bytes <= largest_bytes.load(std::memory_order_relaxed) ? std::malloc(bytes) : nullptr;
  if (!memory) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }

using namespace tutti::test;

// While rank 1 waits for rank 2, which sends last, the message from rank 0 comes.
TEST_CASE("no memory for a message that has come", "[fault]") {
  const bool over_ucx = std::getenv("TUTTI_TRANSPORTS") && std::strcmp(std::getenv("TUTTI_TRANSPORTS"), "ucx") == 0;
  enum Flag { kConnected, kSent };
  SharedBoard board;
  World world{.ranks = 3};
  world.environment = {{"TUTTI_TIMEOUT", "20"}};
  run_with_faults(world, -1, [&](Rank& rank) {
    constexpr size_t kBytes = 100'000;  // comes in pieces, which UCX does not keep
    const tuttiComm_t comm = rank.join();
    std::vector<char> data(kBytes);
    int one = 1, sum = 0;
    rank.check(tuttiAllReduce(&one, &sum, 1, tuttiInt, tuttiSum, comm, nullptr), "the first AllReduce");
    rank.meet(kConnected);
    if (rank.rank == 0) {
      board->take(0, tuttiSend(data.data(), kBytes, tuttiInt8, 1, comm, nullptr));
      rank.raise_flag(kSent);
    } else if (rank.rank == 1) {
      largest_bytes = 60'000;
      board->take(1, tuttiRecv(&sum, 1, tuttiInt, 2, comm, nullptr));
      largest_bytes = SIZE_MAX;
      board->take(1, tuttiRecv(data.data(), kBytes, tuttiInt8, 0, comm, nullptr));
    } else {
      rank.wait_flag(kSent, 1);
      board->take(2, tuttiSend(&one, 1, tuttiInt, 1, comm, nullptr));
    }
    (void)tuttiCommDestroy(comm);
  });
  if (over_ucx)
    check_failure(*board.get(), 1, tuttiSystemError, {"out of memory"});
  else  // shm needs no memory for a message that nobody waits for
    CHECK(board->slots[1].calls == 2);
}

// process: see process.h. The token lies in memory that is wiped in a forked child. The child then draws its own token.
#include "lib/base/process.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <atomic>

#include "lib/base/clock.h"

namespace tutti {
namespace {

// What allocate_wiped() gave. There is no lock: one that another thread holds at fork() would stay locked in the child.
struct Wiped {
  std::atomic<void*> memory{nullptr};  // stored last
  size_t bytes = 0;
};
Wiped g_wiped[kMostWiped];
std::atomic<size_t> g_wiped_count{0};

void* map_zeroes(void* where, size_t bytes) {
  void* const memory = mmap(where, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | (where ? MAP_FIXED : 0), -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  (void)madvise(memory, bytes, MADV_WIPEONFORK);
  return memory;
}

// The kernel wipes as well, also in a child made by clone(). But Linux before 4.14 does not, and an emulator may only say that it does.
void wipe_in_child() {
  for (const Wiped& wiped : g_wiped)
    if (void* const memory = wiped.memory.load(std::memory_order_acquire)) (void)map_zeroes(memory, wiped.bytes);
}

struct Drawn {
  enum : uint32_t { No, Now, Done };  // No is 0: the state of wiped memory
  std::atomic<uint32_t> state;
  ProcessToken token;
};

Drawn* make_drawn() {
  static Drawn spare;
  if (void* const memory = allocate_wiped(sizeof(Drawn))) return static_cast<Drawn*>(memory);
  pthread_atfork(nullptr, nullptr, [] { spare.state.store(Drawn::No); });
  return &spare;
}

ProcessToken draw() {
  ProcessToken token{};
  // getrandom() can fail only while the system boots. Then time, address and pid tell processes apart well enough.
  if (getrandom(token.data(), sizeof token, 0) != sizeof token)
    token = {static_cast<uint64_t>(now_ns()), reinterpret_cast<uint64_t>(&token) ^ static_cast<uint64_t>(getpid())};
  return token;
}

}  // namespace

void* allocate_wiped(size_t bytes) {
  static const bool at_fork = (pthread_atfork(nullptr, nullptr, wipe_in_child), true);
  (void)at_fork;
  const size_t index = g_wiped_count.fetch_add(1);
  void* const memory = index < kMostWiped ? map_zeroes(nullptr, bytes) : nullptr;
  if (!memory) return nullptr;
  g_wiped[index].bytes = bytes;
  g_wiped[index].memory.store(memory, std::memory_order_release);
  return memory;
}

ProcessToken process_token() {
  static Drawn* const drawn = make_drawn();
  for (;;) {
    uint32_t state = drawn->state.load(std::memory_order_acquire);
    if (state == Drawn::Done) return drawn->token;
    if (state == Drawn::No && drawn->state.compare_exchange_strong(state, Drawn::Now)) {
      drawn->token = draw();
      drawn->state.store(Drawn::Done, std::memory_order_release);
    }
    sched_yield();  // another thread draws
  }
}

}  // namespace tutti

// process: see process.h. The token lies on a page that the kernel clears in a forked child. The child then draws its own token.
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

struct Drawn {
  enum : uint32_t { No, Now, Done };  // No is 0: the state of a cleared page
  std::atomic<uint32_t> state;
  ProcessToken token;
};

Drawn* make_page() {
  constexpr size_t kPage = 4096;
  void* const page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  static Drawn spare;
  static Drawn* drawn = page == MAP_FAILED ? &spare : static_cast<Drawn*>(page);
  // Linux before 4.14 cannot clear the page, and there may be no page. Then a fork handler clears the state.
  if (page == MAP_FAILED || madvise(page, kPage, MADV_WIPEONFORK) != 0)
    pthread_atfork(nullptr, nullptr, [] { drawn->state.store(Drawn::No); });
  return drawn;
}

ProcessToken draw() {
  ProcessToken token{};
  // getrandom() can fail only while the system boots. Then time, address and pid tell processes apart well enough.
  if (getrandom(token.data(), sizeof token, 0) != sizeof token)
    token = {static_cast<uint64_t>(now_ns()), reinterpret_cast<uint64_t>(&token) ^ static_cast<uint64_t>(getpid())};
  return token;
}

}  // namespace

ProcessToken process_token() {
  static Drawn* const drawn = make_page();
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

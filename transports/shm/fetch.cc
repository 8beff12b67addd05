// fetch: see fetch.h.
#include "transports/shm/fetch.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <vector>

#include "lib/base/clock.h"

namespace tutti::shm {
namespace {

// Where a page costs 0.15 us, long messages both ways at once are 1.2 times as fast as through a buffer; from 0.5 us on, slower.
constexpr double kFastNs = 250;

constexpr size_t kPage = 4096, kPages = 16;
constexpr int kRounds = 10;

double page_ns() {
  std::vector<std::byte> from(kPages * kPage), to(kPages * kPage);
  double fetched = std::numeric_limits<double>::infinity(), copied = fetched;
  for (int round = 0; round < kRounds; ++round) {
    const int64_t begin = now_ns();
    if (fetch(getpid(), from.data(), to.data(), to.size()) != 0) return std::numeric_limits<double>::infinity();
    const int64_t middle = now_ns();
    std::memcpy(to.data(), from.data(), to.size());
    const int64_t end = now_ns();
    fetched = std::min(fetched, static_cast<double>(middle - begin));
    copied = std::min(copied, static_cast<double>(end - middle));
  }
  return (fetched - copied) / kPages;
}

}  // namespace

int fetch(pid_t process, const std::byte* from, std::byte* to, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    const iovec here{to + done, bytes - done}, there{const_cast<std::byte*>(from + done), bytes - done};
    const ssize_t got = process_vm_readv(process, &here, 1, &there, 1, 0);
    if (got <= 0) return got < 0 ? errno : EFAULT;
    done += static_cast<size_t>(got);
  }
  return 0;
}

bool fetches_fast() {
  static const bool fast = page_ns() < kFastNs;
  return fast;
}

}  // namespace tutti::shm

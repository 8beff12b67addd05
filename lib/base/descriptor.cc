// descriptor: see descriptor.h.
#include "lib/base/descriptor.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <mutex>

namespace tutti {

// All open descriptors, so that fork() can close them in the child. The mutex is held while the process forks.
struct Descriptor::List {
  std::mutex mutex;
  Descriptor* first = nullptr;

  static List& all() {
    static List* const list = [] {
      pthread_atfork([] { all().mutex.lock(); }, [] { all().mutex.unlock(); }, [] { all().close_in_child(); });
      return new List;  // never destroyed: static destructors may still close descriptors
    }();
    return *list;
  }

  void add(Descriptor& one) {
    one.before_ = nullptr;
    one.after_ = first;
    if (first) first->before_ = &one;
    first = &one;
  }
  void remove(Descriptor& one) {
    (one.before_ ? one.before_->after_ : first) = one.after_;
    if (one.after_) one.after_->before_ = one.before_;
  }
  void close_in_child() {
    for (Descriptor* one = first; one; one = one->after_) {
      ::close(one->fd_);
      one->fd_ = -1;
    }
    first = nullptr;
    mutex.unlock();
  }
};

void Descriptor::prepare_for_forks() { (void)List::all(); }

Descriptor::Descriptor(int fd) {
  if (fd >= 0 && fd <= 2) {
    const int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    const int error = errno;
    ::close(fd);
    errno = error;
    fd = moved;
  }
  if (fd < 0) return;
  std::lock_guard lock(List::all().mutex);
  fd_ = fd;
  List::all().add(*this);
}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this == &other) return *this;
  reset();
  if (!other.open()) return *this;
  std::lock_guard lock(List::all().mutex);
  List::all().remove(other);
  fd_ = std::exchange(other.fd_, -1);
  List::all().add(*this);
  return *this;
}

void Descriptor::reset() {
  if (!open()) return;
  std::lock_guard lock(List::all().mutex);
  List::all().remove(*this);
  ::close(fd_);
  fd_ = -1;
}

void wait_for_any(std::span<pollfd> entries, int64_t timeout_ns) {
  constexpr int64_t kSecond = 1'000'000'000, kNapNs = 1'000'000;
  timeout_ns = std::max<int64_t>(timeout_ns, 0);
  const timespec timeout{timeout_ns / kSecond, static_cast<long>(timeout_ns % kSecond)};
  if (ppoll(entries.data(), entries.size(), &timeout, nullptr) >= 0) return;
  const bool refused = errno != EINTR;
  const timespec nap{0, static_cast<long>(std::min(timeout_ns, kNapNs))};
  if (refused) nanosleep(&nap, nullptr);
  for (pollfd& entry : entries) entry.revents = refused && entry.fd >= 0 ? entry.events : short{0};
}

}  // namespace tutti

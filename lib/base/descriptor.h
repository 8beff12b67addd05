// descriptor: an owned file descriptor.
//
// Its number is never 0, 1 or 2: if a program has closed these, its output could end up in our sockets. fork() closes every descriptor in
// the child: a child that kept a connection open would hide its parent's death from the other ranks.
#pragma once
#include <poll.h>

#include <cstdint>
#include <span>
#include <utility>

namespace tutti {

class Descriptor {
 public:
  Descriptor() = default;
  // Takes over what a system call has returned. If that is negative, or cannot be moved away from 0, 1 and 2, the descriptor is not open,
  // and errno says why.
  explicit Descriptor(int fd);
  Descriptor(Descriptor&& other) noexcept { *this = std::move(other); }
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor() { reset(); }

  // For code that makes descriptors under a lock of its own and takes that lock at fork(). It must call this before its pthread_atfork():
  // then fork() takes its lock first and this file's lock second, as the code does.
  static void prepare_for_forks();

  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  void reset();

 private:
  struct List;
  int fd_ = -1;
  Descriptor *before_ = nullptr, *after_ = nullptr;  // neighbours in the list of open descriptors
};

// poll(). If the process may have fewer descriptors than there are entries (it has lowered RLIMIT_NOFILE since they were opened), poll() refuses:
// then this function returns within a millisecond and reports every event that is asked for. Callers must use non-blocking reads and writes.
void wait_for_any(std::span<pollfd> entries, int64_t timeout_ns);

}  // namespace tutti

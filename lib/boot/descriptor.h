// descriptor: an owned file descriptor, and a bell: an eventfd by which one thread wakes another that sits in poll().
//
// All descriptors of this room are opened close-on-exec.
#pragma once
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "lib/base/status.h"

namespace tutti {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Descriptor() { reset(); }

  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  void reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

class Bell {
 public:
  static Result<Bell> make() {
    Bell bell;
    bell.event_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!bell.event_.open()) return system_failure("eventfd", errno);
    return bell;
  }
  // Any thread.
  void ring() {
    const uint64_t one = 1;
    // Can only fail when the counter is full: then it rings already.
    [[maybe_unused]] const ssize_t written = write(event_.get(), &one, sizeof one);
  }
  // Makes poll() wait again.
  void hush() {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = read(event_.get(), &count, sizeof count);
  }
  int fd() const { return event_.get(); }

 private:
  Descriptor event_;
};

}  // namespace tutti

// bell: an eventfd by which one thread wakes another that sits in poll().
#pragma once
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "lib/base/descriptor.h"
#include "lib/base/status.h"

namespace tutti {

class Bell {
 public:
  static Result<Bell> make() {
    Bell bell;
    bell.event_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!bell.event_.open()) return system_failure(errno, "eventfd");
    return bell;
  }
  // Any thread.
  void ring() {
    const uint64_t one = 1;
    // This fails only if the counter is full. Then the bell rings already.
    [[maybe_unused]] const ssize_t written = write(event_.get(), &one, sizeof one);
  }
  // Afterwards poll() waits again.
  void hush() {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = read(event_.get(), &count, sizeof count);
  }
  int fd() const { return event_.get(); }

 private:
  Descriptor event_;
};

}  // namespace tutti

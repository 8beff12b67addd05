// descriptor: an owned file descriptor.
//
// Never 0, 1 or 2: where a program has closed these, something else would soon write to our sockets. And never in a forked child,
// who would keep connections open whose end tells others that this process has died: fork() closes them there.
#pragma once
#include <utility>

namespace tutti {

class Descriptor {
 public:
  Descriptor() = default;
  // Takes over what a system call has returned. If it is negative, or cannot be moved away from 0, 1 and 2, this is not open, and
  // errno says why.
  explicit Descriptor(int fd);
  Descriptor(Descriptor&& other) noexcept { *this = std::move(other); }
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor() { reset(); }

  // What makes descriptors under a lock of its own, which it takes at fork() by pthread_atfork(), calls this before that: then fork()
  // takes both locks in the order of use.
  static void prepare_for_forks();

  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  void reset();

 private:
  struct List;
  int fd_ = -1;
  Descriptor *before_ = nullptr, *after_ = nullptr;  // all that are open
};

}  // namespace tutti

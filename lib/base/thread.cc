// thread: see thread.h.
#include "lib/base/thread.h"

#include <cerrno>
#include <csignal>
#include <exception>

namespace tutti {
namespace {

// The library's own code needs 64 KiB at most, as on callers' threads. The rest is for UCX and for sanitizers.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kStackBytes = 2 << 20;
#else
constexpr size_t kStackBytes = 256 << 10;
#endif

}  // namespace

Thread& Thread::operator=(Thread&& other) noexcept {
  if (joinable_) std::terminate();
  id_ = other.id_;
  joinable_ = std::exchange(other.joinable_, false);
  return *this;
}

Thread::~Thread() {
  if (joinable_) std::terminate();
}

void Thread::join() {
  pthread_join(id_, nullptr);
  joinable_ = false;
}

void Thread::detach() {
  pthread_detach(id_);
  joinable_ = false;
}

Status Thread::start(Thread* thread, const char* name, void* (*run)(void*), void* argument) noexcept {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  // A program with much thread-local memory needs a larger stack. Then pthread_create() says EINVAL, and the system's default is used.
  pthread_attr_setstacksize(&attributes, kStackBytes);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&thread->id_, &attributes, run, argument);
  if (error == EINVAL) error = pthread_create(&thread->id_, nullptr, run, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (error != 0)
    return system_failure(error, "cannot start the thread ", name,
                          error == EAGAIN ? " (raise the limit of threads with ulimit -u, of memory with ulimit -v)" : "");
  thread->joinable_ = true;
  pthread_setname_np(thread->id_, name);
  return {};
}

}  // namespace tutti

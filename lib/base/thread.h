// thread: a thread of the library. It has a name. It blocks all signals: they belong to the program. It calculates in the default
// floating-point mode. Its stack has a fixed size, whatever the program's limits are.
#pragma once
#include <pthread.h>

#include <memory>
#include <new>
#include <utility>

#include "lib/base/float_mode.h"
#include "lib/base/status.h"

namespace tutti {

// Must be joined or detached before it is destroyed.
class Thread {
 public:
  Thread() = default;
  Thread(Thread&& other) noexcept : id_(other.id_), joinable_(std::exchange(other.joinable_, false)) {}
  Thread& operator=(Thread&& other) noexcept;
  ~Thread();

  bool joinable() const { return joinable_; }
  void join();
  void detach();

 private:
  template <typename Body>
  friend Status start_thread(Thread* thread, const char* name, Body body) noexcept;
  // Takes over `argument` if it succeeds.
  static Status start(Thread* thread, const char* name, void* (*run)(void*), void* argument) noexcept;

  pthread_t id_{};
  bool joinable_ = false;
};

// `name` has 15 characters at most. No exception may leave the body.
template <typename Body>
Status start_thread(Thread* thread, const char* name, Body body) noexcept {
  std::unique_ptr<Body> own(new (std::nothrow) Body(std::move(body)));
  if (!own) return Status::out_of_memory();
  const auto run = [](void* argument) -> void* {
    const std::unique_ptr<Body> mine(static_cast<Body*>(argument));
    const DefaultFloatMode mode;
    (*mine)();
    return nullptr;
  };
  Status status = Thread::start(thread, name, run, own.get());
  if (status.ok()) (void)own.release();
  return status;
}

}  // namespace tutti

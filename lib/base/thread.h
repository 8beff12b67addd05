// thread: starts the library's own threads: named, deaf to signals (those belong to the program), failure as a Status.
#pragma once
#include <pthread.h>

#include <csignal>
#include <system_error>
#include <thread>
#include <utility>

#include "lib/base/status.h"

namespace tutti {

// `name` has 15 characters at most.
template <typename Body>
Status start_thread(std::thread* thread, const char* name, Body body) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Status status;
  try {
    *thread = std::thread(std::move(body));
    pthread_setname_np(thread->native_handle(), name);
  } catch (const std::system_error& error) {
    status = fail(Code::SystemError, "cannot start the thread ", name, ": ", error.what());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return status;
}

}  // namespace tutti

// entry: what every function of the front shares: the last error, and the wall that no exception crosses.
#pragma once
#include <exception>
#include <optional>
#include <utility>

#include "lib/api/front/tables.h"
#include "lib/base/float_mode.h"

namespace tutti::front {

// The first failures of communicators that abort() has ended: a thread that was inside a call then may still ask for it.
void remember_failure(CommHandle comm, const Status& failure) noexcept;
// The state of a communicator, or the failure that is remembered of it. Nothing: no communicator.
std::optional<Status> state_of(CommHandle comm);

// Callers' mistakes that several functions find. `name` is the argument's.
[[gnu::cold]] Status bad_comm(const Caller& caller) noexcept;
[[gnu::cold]] Status bad_stream(const Caller& caller) noexcept;
[[gnu::cold]] Status null_argument(const char* name) noexcept;
[[gnu::cold]] Status bad_number(const char* name, int value, int most) noexcept;  // not in 0..most

// Puts the function's name before the sentence of a caller's mistake (InvalidArgument, InvalidUsage).
Status named(const Caller& caller, Status status) noexcept;
// Remembers the sentence for this thread's last_error(), and returns the code.
Code answer(const Status& status) noexcept;
// answer() with the function's name.
[[gnu::cold]] Code answer_failure(const Caller& caller, Status status) noexcept;
// The same for an exception: a bug, or no memory. An open group fails, too.
[[gnu::cold]] Code answer_exception(const Caller& caller, const std::exception& error) noexcept;

// Runs the body of one of the front's functions. An exception becomes a failure. The body must do no floating-point calculation of its own.
template <typename Body>
Code enter_call(const Caller& caller, const Body& body) noexcept {
  try {
    Status status = body();
    return status.ok() ? Code::Success : answer_failure(caller, std::move(status));
  } catch (const std::exception& error) {
    return answer_exception(caller, error);
  }
}
// The same for a body that may calculate.
template <typename Body>
Code enter(const Caller& caller, const Body& body) noexcept {
  const DefaultFloatMode mode;
  return enter_call(caller, body);
}
// The same for a body that needs a communicator.
template <typename Body>
Code enter_on(CommHandle comm, const Caller& caller, const Body& body) noexcept {
  return enter(caller, [&]() -> Status {
    const CommGuard guard(comm);
    return guard ? body(*guard.get()) : bad_comm(caller);
  });
}

}  // namespace tutti::front

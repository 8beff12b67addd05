// status: how a function says that it failed.
//
// Status is a pointer that is null on success, so the good path costs one register. A failure carries a result code (the
// C API's numbers) and one sentence for a person. Result<T> is a value or a Status. Failures are forwarded unchanged; the
// first cause wins. Making or copying a failure never throws: if there is no memory for its sentence, it becomes "out of memory".
#pragma once
#include <cassert>
#include <exception>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "lib/base/code.h"

namespace tutti {

// The arguments, streamed one after the other.
template <typename... Args>
std::string concat(const Args&... args) {
  std::ostringstream out;
  out.exceptions(std::ios::badbit);  // otherwise the text would be cut off silently when memory runs out
  (out << ... << args);
  return out.str();
}

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, const std::string& text) noexcept : failure_(make(code, text)) {}
  // A SystemError that needs no allocation.
  static Status out_of_memory() noexcept;
  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;
  Status(const Status& other) noexcept : failure_(copy_of(other.failure_.get())) {}
  Status& operator=(const Status& other) noexcept {
    if (this != &other) *this = Status(other);
    return *this;
  }

  bool ok() const { return !failure_; }
  Code code() const { return failure_ ? failure_->code : Code::Success; }
  const std::string& text() const {
    static const std::string empty;
    return failure_ ? failure_->text : empty;
  }

 private:
  struct Failure {
    Code code;
    std::string text;
    bool constant = false;  // kOutOfMemory: not allocated. Each loaded module has one of its own, so its address does not tell
  };
  struct Release {
    void operator()(Failure* failure) const {
      if (!failure->constant) delete failure;
    }
  };
  static Failure kOutOfMemory;
  static Failure* make(Code code, const std::string& text) noexcept;
  static Failure* copy_of(Failure* failure) noexcept {
    return !failure || failure->constant ? failure : make(failure->code, failure->text);
  }

  std::unique_ptr<Failure, Release> failure_;
};

template <typename... Args>
Status fail(Code code, const Args&... args) noexcept {
  try {
    return Status(code, concat(args...));
  } catch (const std::exception&) {
    return Status::out_of_memory();
  }
}
// The failure, with the text of `error_number` at the end of its sentence.
Status with_reason(const Status& failure, int error_number) noexcept;
// A failed system call. The sentence is the arguments, streamed one after the other, and the text of `error_number`.
template <typename... Args>
Status system_failure(int error_number, const Args&... what) noexcept {
  return with_reason(fail(Code::SystemError, what...), error_number);
}

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Status status) : status_(std::move(status)) { assert(!status_.ok()); }
  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& value() {
    assert(ok());
    return *value_;
  }
  const T& value() const {
    assert(ok());
    return *value_;
  }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace tutti

// Returns the failure of `expression` to the caller.
#define TUTTI_TRY(expression)                                      \
  do {                                                             \
    if (::tutti::Status tutti_status = (expression); !tutti_status.ok()) return tutti_status; \
  } while (0)

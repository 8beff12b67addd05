// status: the out-of-line part of status.h.
#include "lib/base/status.h"

#include <cerrno>
#include <cstring>
#include <new>

namespace tutti {

// The text is so short that the string needs no allocation.
Status::Failure Status::kOutOfMemory{Code::SystemError, "out of memory", true};

Status Status::out_of_memory() noexcept {
  Status status;
  status.failure_.reset(&kOutOfMemory);
  return status;
}

Status::Failure* Status::make(Code code, const std::string& text) noexcept {
  try {
    return new Failure{code, text};
  } catch (const std::exception&) {
    return &kOutOfMemory;
  }
}

Status with_reason(const Status& failure, int error_number) noexcept {
  char buffer[128];
  const bool advise = error_number == EMFILE && failure.text().find("ulimit") == std::string::npos;
  return fail(failure.code(), failure.text(), advise ? " (raise the limit with ulimit -n): " : ": ",
              strerror_r(error_number, buffer, sizeof buffer));
}

}  // namespace tutti

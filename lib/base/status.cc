// status: the out-of-line part of status.h.
#include "lib/base/status.h"

#include <cstring>
#include <new>

namespace tutti {

Status system_failure(const std::string& what, int error_number) {
  char buffer[128];
  return fail(Code::SystemError, what, ": ", strerror_r(error_number, buffer, sizeof buffer));
}

std::string reason_of(const std::exception& error) {
  return dynamic_cast<const std::bad_alloc*>(&error) ? "out of memory" : error.what();
}

}  // namespace tutti

// status: the out-of-line part of status.h.
#include "lib/base/status.h"

#include <cstring>

namespace tutti {

Status system_failure(const std::string& what, int error_number) {
  char buffer[128];
  return fail(Code::SystemError, what, ": ", strerror_r(error_number, buffer, sizeof buffer));
}

}  // namespace tutti

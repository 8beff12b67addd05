// secret: see secret.h.
#include "perf/secret.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "perf/failure.h"

namespace tutti::perf {

std::string random_secret() {
  unsigned char bytes[16];
  if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) throw Failure(std::string("no random numbers: ") + std::strerror(errno));
  std::string text;
  for (const unsigned char byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", byte);
    text += digits;
  }
  return text;
}

}  // namespace tutti::perf

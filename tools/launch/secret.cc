// secret: see secret.h.
#include "tools/launch/secret.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "tools/failure.h"

namespace tutti::tool {

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

}  // namespace tutti::tool

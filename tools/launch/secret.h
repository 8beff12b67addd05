// secret: random secrets for TUTTI_COMM_ID=host:port#secret. Who knows the secret may join the communicator.
#pragma once
#include <string>

namespace tutti::tool {

// 128 random bits as 32 hexadecimal digits. Throws Failure if the kernel provides none.
std::string random_secret();

}  // namespace tutti::tool

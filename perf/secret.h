// secret: what admits to a communicator whose ranks are started by hand or by a launcher: TUTTI_COMM_ID=host:port#secret.
#pragma once
#include <string>

namespace tutti::perf {

// 128 random bits as 32 hexadecimal digits. Throws Failure where the kernel has none.
std::string random_secret();

}  // namespace tutti::perf

// host: this host, and what its kernel says about it.
#pragma once
#include <cstdint>
#include <string>

#include "lib/base/status.h"

namespace tutti {

// "?" if the system does not say.
std::string host_name();

// The kernel's id of this machine since boot, or the host's name where the kernel has none. It is read once, because later the process may
// have no descriptor left to read it. Error: SystemError if there is none the first time, or no memory.
Result<std::string> machine_id();

// The network namespace of the calling thread. 0: unknown.
uint64_t network_number();

// Processes with different numbers are on different machines or in different network namespaces. Processes with the same number may be on
// one host. None of that is certain if machine_id() fails.
uint64_t host_number();

// A small file of the kernel's. Empty where there is none; errno says why.
std::string read_kernel_file(const std::string& path);

}  // namespace tutti

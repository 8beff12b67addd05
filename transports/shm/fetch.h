// fetch: another process's memory, copied by the kernel (process_vm_readv).
//
// One copy where a buffer between the two takes two; but the kernel looks up every page of the other's memory, which takes 0.1 us on
// some machines and more than a copy of the page on others.
#pragma once
#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace tutti::shm {

// The memory of a process as another sees it, with something to know it by: process numbers come again.
struct Memory {
  pid_t process = 0;         // 0: none
  uint64_t witness_at = 0;   // an address there
  std::array<uint64_t, 2> witness{};
};

// 0, or an errno: ESRCH if there is no such process any more, EPERM if this one may not read it.
int fetch(const Memory& memory, const std::byte* from, std::byte* to, size_t bytes);

// Whether peers can fetch this process's memory at an address: not where a device's is mapped.
bool can_be_fetched(const std::byte* at);

// Whether it is worth it on this machine: what a page costs over its copy is measured, once in a process.
bool fetches_fast();

}  // namespace tutti::shm

// fetch: another process's memory, copied by the kernel (process_vm_readv).
//
// One copy where a buffer between the two takes two; but the kernel looks up every page of the other's memory, which takes 0.1 us on
// some machines and more than a copy of the page on others.
#pragma once
#include <sys/types.h>

#include <cstddef>

namespace tutti::shm {

// 0, or an errno: ESRCH if there is no such process any more, EPERM if this one may not read it.
int fetch(pid_t process, const std::byte* from, std::byte* to, size_t bytes);

// Whether that is worth it on this machine: what a page costs over its copy is measured, once in a process.
bool fetches_fast();

}  // namespace tutti::shm

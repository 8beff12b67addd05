// memory: see memory.h.
#include "lib/base/memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <map>
#include <mutex>

namespace tutti {
namespace {

// What is allocated, so that a wrong pointer is answered instead of followed.
struct Allocations {
  std::mutex mutex;
  std::map<void*, size_t> bytes;
};
Allocations& allocations() {
  static auto* all = new Allocations;  // never destroyed: memory may be freed by static destructors
  return *all;
}

}  // namespace

Result<void*> allocate_shared(size_t bytes) {
  void* pointer = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (pointer == MAP_FAILED) return system_failure(concat("cannot allocate ", bytes, " bytes"), errno);
  Allocations& all = allocations();
  std::lock_guard lock(all.mutex);
  all.bytes[pointer] = bytes;
  return pointer;
}

bool free_shared(void* pointer) {
  Allocations& all = allocations();
  std::lock_guard lock(all.mutex);
  const auto found = all.bytes.find(pointer);
  if (found == all.bytes.end()) return false;
  munmap(pointer, found->second);
  all.bytes.erase(found);
  return true;
}

}  // namespace tutti

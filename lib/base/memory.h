// memory: the only large allocator; what tuttiMemAlloc hands out.
//
// Everything comes from one file per process, the heap, which other processes can map to reach into this memory. It is sealed: nobody
// can shrink it under those who map it. Where the system gives no such file, memory is this process's alone.
#pragma once
#include <cstddef>
#include <memory>

#include "lib/base/descriptor.h"
#include "lib/base/status.h"

namespace tutti {

// Page-aligned, zeroed. Pages come into being when touched. Any thread.
Result<void*> allocate_shared(size_t bytes);
// False: not a pointer that allocate_shared() gave and nobody has freed.
bool free_shared(void* pointer);

struct HeapFile {
  int descriptor = -1;  // -1: there is none
  std::byte* base = nullptr;
  size_t bytes = 0;
};
// This process's heap; made when first asked for, also in a forked child, whose memory is then its own.
HeapFile heap_file();

// A file of memory without a name, `bytes` long for ever: its seals keep everybody from changing its length. `name` is for
// /proc/PID/maps.
Result<Descriptor> make_sealed_file(const char* name, size_t bytes);
// Whether a file has these seals, and this length. Of a file from another process, before it is mapped: to read past the end of one that
// was cut off would be a signal.
bool is_sealed(int descriptor, size_t bytes);

// Whether other processes may still be let at the heap: until unshare() was called.
bool heap_is_shared();
// For when a peer may write to [data, data + bytes) of the heap at any time but must not any more: from now on these pages are
// this process's alone, as they are, and the heap is let to nobody again. Ranks in threads of this process write on.
void unshare(void* data, size_t bytes) noexcept;

// The heap of another process, or its absence.
class HeapView {
 public:
  // Null where it cannot be mapped, or is not sealed. The descriptor stays the caller's.
  static std::unique_ptr<HeapView> map(int descriptor, size_t bytes);
  ~HeapView();
  HeapView(const HeapView&) = delete;
  HeapView& operator=(const HeapView&) = delete;
  std::byte* base() const { return base_; }

 private:
  HeapView(std::byte* base, size_t bytes) : base_(base), bytes_(bytes) {}
  std::byte* const base_;
  const size_t bytes_;
};

}  // namespace tutti

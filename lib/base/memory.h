// memory: the only large allocator; what MemAlloc hands out.
//
// All memory comes from one file per process, the heap. Other processes can map the heap to access this memory. The file is sealed: nobody
// can shrink it while others map it. If the system cannot make such a file, no other process can access the memory.
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

// An anonymous memory file of `bytes`. Its seals forbid everybody to change its length.
// `name` is what /proc/PID/maps shows.
Result<Descriptor> make_sealed_file(const char* name, size_t bytes);
// Whether a file has these seals and this length. Check a file of another process with it before mapping: reading past the end of a file
// that was cut off raises a signal (SIGBUS).
bool is_sealed(int descriptor, size_t bytes);

// Whether other processes may still be given the heap. No longer once unshare() was called.
bool heap_is_shared();
// Replaces the pages of [data, data + bytes) by a private copy, so that other processes can no longer write to them. After that no other
// process is given the heap. Threads of this process still share the copy. Does nothing to the pages if there is no memory for a copy.
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

// memory: see memory.h.
#include "lib/base/memory.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

#include "lib/base/process.h"

namespace tutti {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

std::atomic<bool> g_unshared{false};

size_t page_bytes() {
  static const size_t bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

// All members are guarded by `mutex`, which is held while the process forks.
struct Heap {
  std::mutex mutex;
  ProcessToken owner{};  // the process that made the file; a forked child makes a new one
  Descriptor descriptor;
  HeapFile file;
  // A part of the file, or memory of its own. Its map node moves between `free` and `blocks`, so freeing needs no memory.
  struct Piece {
    size_t bytes;
    ProcessToken owner;
    bool in_file;
  };
  using Pieces = std::map<std::byte*, Piece>;
  Pieces free;    // parts of the file, no two adjacent
  Pieces blocks;  // what is allocated: a pointer that is not here is refused

  void open();
  std::byte* take(size_t bytes);
  void give_back(Pieces::node_type block);
};

Heap& heap() {
  static Heap* const one = [] {
    Descriptor::prepare_for_forks();
    pthread_atfork([] { heap().mutex.lock(); }, [] { heap().mutex.unlock(); }, [] { heap().mutex.unlock(); });
    return new Heap;  // never destroyed: memory may be freed by static destructors
  }();
  return *one;
}

// The longest file that this process may make. A longer one would raise a signal (SIGXFSZ).
size_t longest_file() {
  rlimit limit{};
  return getrlimit(RLIMIT_FSIZE, &limit) == 0 ? limit.rlim_cur : SIZE_MAX;
}

// As large as the machine's memory: what does not fit would not work anyway.
void Heap::open() {
  if (owner == process_token()) return;
  owner = process_token();
  file = {};
  free.clear();
  g_unshared = false;
  const size_t memory = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * page_bytes();
  const size_t bytes = std::min(memory, longest_file() / page_bytes() * page_bytes());
  if (bytes == 0) return;
  Result<Descriptor> made = make_sealed_file("tutti-heap", bytes);
  if (!made.ok()) return;
  void* const base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, made.value().get(), 0);
  if (base == MAP_FAILED) return;
  (void)madvise(base, bytes, MADV_HUGEPAGE);  // as far as the system has large pages for shared memory
  descriptor = std::move(made.value());
  file = {descriptor.get(), static_cast<std::byte*>(base), bytes};
  free.emplace(file.base, Piece{bytes, owner, true});
}

// The first place that fits. Null: none.
std::byte* Heap::take(size_t bytes) {
  for (auto entry = free.begin(); entry != free.end(); ++entry) {
    if (entry->second.bytes < bytes) continue;
    Pieces::node_type place = free.extract(entry);
    std::byte* const taken = place.key();
    if (place.mapped().bytes > bytes) {
      place.key() += bytes;
      place.mapped().bytes -= bytes;
      free.insert(std::move(place));
    }
    return taken;
  }
  return nullptr;
}

void Heap::give_back(Pieces::node_type block) {
  size_t& bytes = block.mapped().bytes;
  auto next = free.lower_bound(block.key());
  if (next != free.end() && next->first == block.key() + bytes) {
    bytes += next->second.bytes;
    next = free.erase(next);
  }
  if (next != free.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second.bytes == block.key()) {
      before->second.bytes += bytes;
      return;
    }
  }
  free.insert(next, std::move(block));
}

}  // namespace

Result<void*> allocate_shared(size_t bytes) {
  if (bytes > SIZE_MAX - page_bytes()) return fail(Code::SystemError, "cannot allocate ", bytes, " bytes");
  const size_t whole = (bytes + page_bytes() - 1) / page_bytes() * page_bytes();
  Heap& all = heap();
  std::lock_guard lock(all.mutex);
  all.open();
  Heap::Pieces made{{nullptr, {whole, all.owner, true}}};  // may throw; nothing is taken yet
  Heap::Pieces::node_type block = made.extract(made.begin());
  block.key() = g_unshared ? nullptr : all.take(whole);
  if (!block.key()) {
    void* const own = mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (own == MAP_FAILED) return system_failure(errno, "cannot allocate ", bytes, " bytes");
    block.key() = static_cast<std::byte*>(own);
    block.mapped().in_file = false;
  }
  return static_cast<void*>(all.blocks.insert(std::move(block)).position->first);
}

bool free_shared(void* pointer) {
  Heap& all = heap();
  std::lock_guard lock(all.mutex);
  Heap::Pieces::node_type block = all.blocks.extract(static_cast<std::byte*>(pointer));
  if (block.empty()) return false;
  const size_t bytes = block.mapped().bytes;
  // A child that frees its parent's memory unmaps it in the child only.
  if (!block.mapped().in_file || block.mapped().owner != process_token() || g_unshared) {
    munmap(pointer, bytes);
    return true;
  }
  const off_t offset = block.key() - all.file.base;
  if (fallocate(all.file.descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, static_cast<off_t>(bytes)) != 0)
    std::memset(pointer, 0, bytes);
  all.give_back(std::move(block));
  return true;
}

HeapFile heap_file() {
  Heap& all = heap();
  std::lock_guard lock(all.mutex);
  all.open();
  return all.file;
}

bool heap_is_shared() { return !g_unshared.load(std::memory_order_acquire); }

void unshare(void* data, size_t bytes) noexcept {
  Heap& all = heap();
  std::lock_guard lock(all.mutex);
  g_unshared = true;
  const uintptr_t first = reinterpret_cast<uintptr_t>(data) / page_bytes() * page_bytes();
  const size_t whole = (reinterpret_cast<uintptr_t>(data) + bytes - first + page_bytes() - 1) / page_bytes() * page_bytes();
  void* const pages = reinterpret_cast<void*>(first);
  void* const copy = mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (copy == MAP_FAILED) return;
  std::memcpy(copy, pages, whole);
  if (mremap(copy, whole, whole, MREMAP_MAYMOVE | MREMAP_FIXED, pages) == MAP_FAILED) munmap(copy, whole);
}

Result<Descriptor> make_sealed_file(const char* name, size_t bytes) {
  if (bytes > longest_file())
    return fail(Code::SystemError, "shared memory of ", bytes, " bytes is longer than files may be (ulimit -f: ", longest_file(), " bytes)");
  Descriptor descriptor(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!descriptor.open()) return system_failure(errno, "cannot make shared memory (memfd_create)");
  if (ftruncate(descriptor.get(), static_cast<off_t>(bytes)) != 0)
    return system_failure(errno, "cannot size shared memory to ", bytes, " bytes");
  if (fcntl(descriptor.get(), F_ADD_SEALS, kSeals) != 0) return system_failure(errno, "cannot seal shared memory");
  return descriptor;
}

bool is_sealed(int descriptor, size_t bytes) {
  struct stat file;
  const int seals = fcntl(descriptor, F_GET_SEALS);
  return seals >= 0 && (seals & kSeals) == kSeals && fstat(descriptor, &file) == 0 && static_cast<size_t>(file.st_size) == bytes;
}

std::unique_ptr<HeapView> HeapView::map(int descriptor, size_t bytes) {
  if (!is_sealed(descriptor, bytes)) return nullptr;
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
  if (base == MAP_FAILED) return nullptr;
  (void)madvise(base, bytes, MADV_HUGEPAGE);
  return std::unique_ptr<HeapView>(new HeapView(static_cast<std::byte*>(base), bytes));
}

HeapView::~HeapView() { munmap(base_, bytes_); }

}  // namespace tutti

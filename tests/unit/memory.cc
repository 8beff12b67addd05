// memory: the heap that tuttiMemAlloc hands out, as its owner and as another process sees it.
#include "lib/base/memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "tests/catch.h"
#include "tests/unit/child.h"

namespace tutti {

using test::in_child;

namespace {

std::byte* allocate(size_t bytes) {
  Result<void*> memory = allocate_shared(bytes);
  REQUIRE(memory.ok());
  return static_cast<std::byte*>(memory.value());
}

bool all_zero(const std::byte* data, size_t bytes) {
  return std::all_of(data, data + bytes, [](std::byte b) { return b == std::byte{0}; });
}

size_t offset_of(const std::byte* data) { return static_cast<size_t>(data - heap_file().base); }

}  // namespace

TEST_CASE("memory is zeroed, apart, and given back once") {
  std::vector<std::byte*> blocks;
  for (const size_t bytes : {1, 4096, 5000, 1 << 20}) {
    std::byte* block = allocate(bytes);
    CHECK(reinterpret_cast<uintptr_t>(block) % 4096 == 0);
    CHECK(all_zero(block, bytes));
    std::memset(block, static_cast<int>(blocks.size()) + 1, bytes);
    blocks.push_back(block);
  }
  for (size_t i = 0; i < blocks.size(); ++i) CHECK(blocks[i][0] == static_cast<std::byte>(i + 1));
  CHECK_FALSE(free_shared(blocks[0] + 1));
  for (std::byte* block : blocks) CHECK(free_shared(block));
  for (std::byte* block : blocks) CHECK_FALSE(free_shared(block));
}

TEST_CASE("freed memory is used again, as one piece, and comes back zeroed") {
  std::byte* const a = allocate(8192);
  std::byte* const b = allocate(8192);
  std::byte* const c = allocate(8192);
  std::memset(a, 1, 8192);
  std::memset(b, 1, 8192);
  for (std::byte* block : {a, c, b}) REQUIRE(free_shared(block));
  std::byte* const whole = allocate(3 * 8192);
  CHECK(whole == std::min({a, b, c}));
  CHECK(all_zero(whole, 3 * 8192));
  free_shared(whole);
}

TEST_CASE("what does not fit is refused, and what fits after it is not") {
  CHECK_FALSE(allocate_shared(SIZE_MAX).ok());
  CHECK_FALSE(allocate_shared(size_t{1} << 60).ok());
  CHECK(free_shared(allocate(100)));
}

TEST_CASE("another process writes to the heap through its file") {
  std::byte* const block = allocate(10000);
  const HeapFile file = heap_file();
  REQUIRE(file.descriptor >= 0);
  const size_t offset = offset_of(block);
  const int passed_on = dup(file.descriptor);  // as a socket would pass it on; the library closes its own in a child
  CHECK(in_child([&] {
    const std::unique_ptr<HeapView> view = HeapView::map(passed_on, file.bytes);
    if (!view || HeapView::map(passed_on, file.bytes - 1)) return false;
    if (fcntl(file.descriptor, F_GETFD) >= 0 || ftruncate(passed_on, 0) == 0) return false;  // it is sealed
    view->base()[offset + 9999] = std::byte{7};
    return true;
  }));
  CHECK(block[9999] == std::byte{7});
  close(passed_on);
  free_shared(block);
}

TEST_CASE("a file that can be made shorter is not mapped") {
  const int file = memfd_create("open", MFD_CLOEXEC);
  REQUIRE(ftruncate(file, 4096) == 0);
  CHECK(HeapView::map(file, 4096) == nullptr);
  close(file);
}

TEST_CASE("memory is made within the limit of file sizes") {
  CHECK(in_child([] {
    const rlimit limit{64 << 20, 64 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
    const Result<Descriptor> file = make_sealed_file("too long", 65 << 20);
    return !file.ok() && file.status().text().find("ulimit -f") != std::string::npos && heap_file().bytes == 64 << 20;
  }));
}

TEST_CASE("a forked child has a heap of its own, and lets go of its parent's memory without touching it") {
  std::byte* const block = allocate(4096);
  block[0] = std::byte{1};
  CHECK(in_child([&] {
    if (heap_file().base == nullptr) return false;
    const Result<void*> own = allocate_shared(4096);
    if (!own.ok()) return false;
    std::memset(own.value(), 9, 4096);
    return block[0] == std::byte{1} && free_shared(block) && free_shared(own.value());
  }));
  CHECK(block[0] == std::byte{1});
  std::byte* const next = allocate(4096);
  CHECK(all_zero(next, 4096));
  free_shared(next);
  free_shared(block);
}

TEST_CASE("unshared pages keep what they hold and hear no more of other processes") {
  CHECK(in_child([] {
    const Result<void*> memory = allocate_shared(16384), neighbour = allocate_shared(4096);
    if (!memory.ok() || !neighbour.ok()) return false;
    std::byte* const data = static_cast<std::byte*>(memory.value());
    std::memset(data, 5, 16384);
    const HeapFile file = heap_file();
    const std::unique_ptr<HeapView> view = HeapView::map(file.descriptor, file.bytes);
    if (!view || !heap_is_shared()) return false;
    unshare(data + 5000, 100);  // somewhere in the second page
    std::memset(view->base() + offset_of(data) + 5000, 6, 100);
    if (heap_is_shared() || data[5000] != std::byte{5} || data[0] != std::byte{5}) return false;
    const Result<void*> later = allocate_shared(4096);
    return later.ok() && free_shared(later.value()) && free_shared(data) && free_shared(neighbour.value());
  }));
}

}  // namespace tutti

// process: a forked child knows that it is another process, and takes over nothing that it must not. (An emulator of another processor,
// under which this runs too, may not wipe memory as Linux does.)
#include "lib/base/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include "lib/api/front/handles.h"
#include "lib/base/clock.h"
#include "lib/base/descriptor.h"
#include "tests/catch.h"
#include "tests/unit/child.h"

namespace tutti {

using test::in_child;

TEST_CASE("parent, child and grandchild have three tokens") {
  const ProcessToken parent = process_token();
  CHECK(process_token() == parent);
  CHECK(in_child([&] {
    const ProcessToken child = process_token();
    return child != parent && process_token() == child && in_child([&] { return process_token() != child && process_token() != parent; });
  }));
  CHECK(process_token() == parent);
}

TEST_CASE("wiped memory is zeroed in a child and in a grandchild") {
  int* const memory = static_cast<int*>(allocate_wiped(100'000));
  REQUIRE(memory);
  constexpr size_t kLast = 100'000 / sizeof(int) - 1;
  CHECK((memory[0] == 0 && memory[kLast] == 0));
  memory[0] = memory[kLast] = 1;
  CHECK(in_child([&] {
    if (memory[0] != 0 || memory[kLast] != 0) return false;
    memory[0] = 2;
    return in_child([&] { return memory[0] == 0; });
  }));
  CHECK((memory[0] == 1 && memory[kLast] == 1));
}

TEST_CASE("a handle of the parent is none in a child") {
  int object = 0;
  auto* const table = front::HandleTable<int, 100>::make();
  const uintptr_t handle = table->insert(&object);
  CHECK(in_child([&] { return !table->acquire(handle) && !table->enter(handle) && !table->remove(handle); }));
  CHECK(table->remove(handle) == &object);
}

TEST_CASE("waiting for descriptors works beyond the number that the process may have") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  std::vector<pollfd> entries(16, pollfd{ends[0], POLLIN, 0});
  entries[3].fd = -1;
  const auto waited_ms = [&] {
    const int64_t begin = now_ns();
    wait_for_any(entries, 30'000'000);
    return (now_ns() - begin) / 1'000'000;
  };
  CHECK(waited_ms() >= 30);
  CHECK(entries[0].revents == 0);
  REQUIRE(in_child([&] {
    const rlimit few{8, 8};
    if (setrlimit(RLIMIT_NOFILE, &few) != 0 || waited_ms() >= 30) return false;
    return entries[0].revents == POLLIN && entries[3].revents == 0;
  }));
  REQUIRE(write(ends[1], "x", 1) == 1);
  CHECK(waited_ms() < 30);
  CHECK(entries[0].revents == POLLIN);
  for (const int end : ends) close(end);
}

}  // namespace tutti

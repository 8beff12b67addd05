// module: a transport's module is loaded once, and what it returns is at home on both sides. It is in a program of its own, since it hides
// the file system from the process and replaces operator new.
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>

#include "lib/transport/transport.h"
#include "tests/catch.h"
#include "tests/harness/sanitized.h"

using namespace tutti;

#ifndef TUTTI_TEST_SANITIZED

namespace {

bool no_memory = false;

}  // namespace

// Also called by the module. noinline: gcc warns of a mismatched new and delete if it inlines only one of them.
[[gnu::noinline]] void* operator new(size_t bytes) {
  if (void* const memory = no_memory ? nullptr : std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }

#endif

namespace {

Status open_ucx() {
  static const std::atomic<bool> cancel{false};
  const Result<Settings> settings = Settings::load();
  REQUIRE(settings.ok());
  for (const TransportKind& kind : all_transports())
    if (std::string(kind.name) == "ucx") return kind.create({0, 1, 4096, settings.value(), cancel}).status();
  return fail(Code::InternalError, "no row for ucx");
}

}  // namespace

#ifndef TUTTI_TEST_SANITIZED
TEST_CASE("a module's lack of memory is an error that the library can copy and free", "[ucx]") {
  static const std::atomic<bool> cancel{false};
  const Result<Settings> settings = Settings::load();
  REQUIRE(settings.ok());
  for (const TransportKind& kind : all_transports()) {
    if (std::string(kind.name) != "ucx") continue;
    REQUIRE(open_ucx().ok());  // loads the module
    const TransportOptions options{0, 1, 4096, settings.value(), cancel};
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit none{0, before.rlim_max};  // the module fails since it gets no descriptor, and has no memory to say so
    REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    no_memory = true;
    const Status failure = kind.create(options).status();
    const Status copy = failure;
    no_memory = false;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(copy.text() == "out of memory");
  }
}
#endif

TEST_CASE("a loaded module is used when its file can no longer be read", "[ucx]") {
  if (geteuid() != 0) return;  // chroot() needs root
  const Status first = open_ucx();
  INFO(first.text());
  REQUIRE(first.ok());
  REQUIRE(chroot("/sys") == 0);
  const Status again = open_ucx();  // UCX itself may fail now: it does not find its interfaces
  INFO(again.text());
  CHECK(again.text().find("transport-ucx.so") == std::string::npos);
}

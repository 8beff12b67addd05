// module_memory: a module's lack of memory. It is in a program of its own, since it replaces operator new.
#include <sys/resource.h>

#include <cstdlib>
#include <new>

#include "lib/transport/transport.h"
#include "tests/catch.h"

using namespace tutti;

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

TEST_CASE("a module's lack of memory is an error that the library can copy and free", "[ucx]") {
  static const std::atomic<bool> cancel{false};
  const Result<Settings> settings = Settings::load();
  REQUIRE(settings.ok());
  for (const TransportKind& kind : all_transports()) {
    if (std::string(kind.name) != "ucx") continue;
    const TransportOptions options{0, 1, 4096, settings.value(), cancel};
    REQUIRE(kind.create(options).status().ok());  // loads the module
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

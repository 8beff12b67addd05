// module: a transport's module is loaded once. It is in a program of its own, since it hides the file system from the process.
#include <fcntl.h>
#include <unistd.h>

#include "lib/base/descriptor.h"
#include "lib/transport/transport.h"
#include "tests/catch.h"

using namespace tutti;

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

TEST_CASE("a loaded module is used when its file can no longer be read", "[ucx]") {
  if (geteuid() != 0) return;  // chroot() needs root
  const Status first = open_ucx();
  INFO(first.text());
  REQUIRE(first.ok());
  const Descriptor root(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(root.open());
  REQUIRE(chroot("/sys") == 0);
  const Status again = open_ucx();  // UCX itself may fail now: it does not find its interfaces
  REQUIRE((fchdir(root.get()) == 0 && chroot(".") == 0));  // a leak checker looks into /proc when the process ends
  INFO(again.text());
  CHECK(again.text().find("transport-ucx.so") == std::string::npos);
}

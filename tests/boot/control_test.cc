// control_test: one rank's control plane, whose hub is played by the test.
#include <sys/socket.h>

#include "lib/boot/control.h"
#include "tests/boot/ranks.h"
#include "tests/catch.h"

using namespace tutti;
using namespace tutti::test;

TEST_CASE("a rank ignores blobs of an all-gather that it has not begun") {
  REQUIRE(prepare_crypto().ok());
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  const Key key = random_nonce();
  Connection hub{Descriptor(ends[0]), Connection::Side::Server, key}, rank{Descriptor(ends[1]), Connection::Side::Client, key};
  REQUIRE(eventually(5, [&] {
    for (Connection* side : {&rank, &hub}) {
      side->write_some();
      side->read_some();
    }
    return hub.authenticated() && rank.authenticated();
  }));
  Result<Bell> bell = Bell::make();
  REQUIRE(bell.ok());
  ControlPlane control({std::move(rank), {0, 1, "host"}, 1, nullptr}, std::move(bell.value()), 1, 2, {});
  REQUIRE(control.start().ok());

  hub.send(Kind::Gathered, Writer().u32(0).u32(0).u32(1).text("blob").bytes());
  hub.send(Kind::Query, Writer().u64(0).bytes());
  std::optional<Frame> answer;
  REQUIRE(eventually(5, [&] {
    hub.write_some();
    hub.read_some();
    answer = hub.next();
    return answer.has_value();
  }));
  CHECK(answer->kind == Kind::Activity);
}

// control_test: what a rank's control thread reports, when the test is that thread.
#include "lib/boot/control.h"
#include "lib/boot/wire.h"
#include "tests/catch.h"

using namespace tutti;

TEST_CASE("a rank ignores blobs of an all-gather that it has not begun") {
  ControlPlane control(1, 2, {});
  control.take_gathered(Writer().u32(0).u32(0).u32(1).text("blob").bytes());
  control.take_gathered(Writer().u32(1).u32(0).u32(2).text("blob").text("blob").bytes());
  control.take_gathered("");
}

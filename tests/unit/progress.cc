// progress: the text of the line that says how far a long job is.
#include "tools/progress.h"

#include "tests/catch.h"

namespace tutti::tool {

TEST_CASE("progress: how much of how much, and the time left") {
  const auto text = [](double done, double elapsed_s, const char* detail = "") { return progress_text("simulating", "runs", done, 200, elapsed_s, detail); };
  REQUIRE(text(0, 5) == "simulating: 0 of 200 runs, 0 %");
  REQUIRE(text(50, 20) == "simulating: 50 of 200 runs, 25 %, about 60 s left");
  REQUIRE(text(50.9, 20, "ring") == "simulating: 50 of 200 runs, 25 %, about 59 s left (ring)");
  REQUIRE(text(2, 10) == "simulating: 2 of 200 runs, 1 %, about 17 min left");
  REQUIRE(text(100, 7200) == "simulating: 100 of 200 runs, 50 %, about 2.0 h left");
  REQUIRE(text(200, 9) == "simulating: 200 of 200 runs, 100 %");
  REQUIRE(progress_text("measuring", "pairs of hosts", 0, 0, 1, "") == "measuring: 0 of 0 pairs of hosts, 0 %");
}

}  // namespace tutti::tool

// markup: text of users in HTML and SVG.
#include "tools/markup.h"

#include "tests/catch.h"

namespace tutti::tool {

TEST_CASE("markup: what has a meaning is written as what has none") {
  REQUIRE(escaped("a<b>&\"c\"</script>") == "a&lt;b&gt;&amp;&quot;c&quot;&lt;/script&gt;");
  REQUIRE(escaped("") == "");
}

TEST_CASE("markup: letters stay, other bytes do not") {
  REQUIRE(escaped("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80") == "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
  REQUIRE(escaped("a\nb\x01\x7f") == "a?b??");
  REQUIRE(escaped("\xff\xc3") == "??");               // no beginning; no end
  REQUIRE(escaped("\xc0\xaf") == "??");               // "/" in two bytes
  REQUIRE(escaped("\xed\xa0\x80") == "???");          // half of a pair of UTF-16
  REQUIRE(escaped("\xf4\x90\x80\x80") == "????");     // beyond the last letter
  REQUIRE(escaped("\xef\xbf\xbf") == "???");          // U+FFFF, which XML forbids
}

}  // namespace tutti::tool

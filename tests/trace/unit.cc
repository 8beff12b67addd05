// unit: the parts of tracing, without a communicator: rings, lines, files, clocks, and the calls that are remembered.
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <random>
#include <thread>

#include "lib/comm/call.h"
#include "lib/comm/clocks.h"
#include "lib/comm/recorder.h"
#include "lib/trace/file.h"
#include "lib/trace/line.h"
#include "lib/trace/ring.h"
#include "tests/catch.h"
#include "tests/harness/temporary.h"
#include "tests/unit/child.h"

using namespace tutti;
using namespace tutti::test;

namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string quoted(std::string_view text) {
  std::string quotes;
  append_quoted(quotes, text);
  return quotes;
}

}  // namespace

TEST_CASE("a ring gives all entries in order, and refuses what has no room") {
  Ring<int> small(4);
  for (int i = 0; i < 4; ++i) CHECK(small.put(i));
  CHECK_FALSE(small.put(4));
  std::vector<int> taken;
  small.take([&](int entry) { taken.push_back(entry); });
  CHECK(taken == std::vector<int>{0, 1, 2, 3});
  CHECK(small.put(5));

  constexpr int kEntries = 100'000;
  Ring<int> ring(64);
  std::thread producer([&] {
    for (int i = 0; i < kEntries; ++i)
      while (!ring.put(i)) std::this_thread::yield();
  });
  int next = 0;
  bool in_order = true;
  while (next < kEntries) ring.take([&](int entry) { in_order = in_order && entry == next++; });
  producer.join();
  CHECK(in_order);
}

TEST_CASE("a line is a JSON object whatever its texts are") {
  CHECK(quoted("a\"b\\c") == "\"a\\\"b\\\\c\"");
  CHECK(quoted(std::string_view("\n\0\x7f", 3)) == "\"\\u000a\\u0000\\u007f\"");
  CHECK(quoted("Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x8e\xb5") == "\"Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x8e\xb5\"");
  // Cut off, alone, too long for its value, a surrogate, past the last character.
  for (const char* bad : {"\xc3", "\x80", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"})
    CHECK(quoted(bad).find_first_not_of("?\"") == std::string::npos);
  Line line;
  line.text("a", "x").number("b", -5).time("c", 1'234'567).time("d", -1).flag("e", true).open("f").number("g", 1).close().open("h").close();
  CHECK(line.take() == R"({"a":"x","b":-5,"c":1234.567,"d":-0.001,"e":true,"f":{"g":1},"h":{}})");
  CHECK(line.number("i", INT64_MIN).time("j", INT64_MIN).take() == R"({"i":-9223372036854775808,"j":-9223372036854775.808})");
}

TEST_CASE("a file of events is never overwritten, and its folder is made") {
  const TemporaryFolder folder;
  const std::string inner = folder.path() + "/new";
  for (const char* name : {"x.json", "x-2.json"}) {
    Result<TraceFile> file = TraceFile::make(inner, "x", 1 << 20);
    REQUIRE(file.ok());
    CHECK(file.value().path() == inner + "/" + name);
    CHECK(file.value().add("{\"a\":1}").ok());
    CHECK(file.value().add("{\"b\":2}").ok());
    CHECK(file.value().close().ok());
    CHECK(contents(inner + "/" + name) == "[\n{\"a\":1},\n{\"b\":2}\n]\n");
  }
  const Status missing = TraceFile::make(folder.path() + "/no/such", "x", 1 << 20).status();
  CHECK(missing.text() == "cannot write " + folder.path() + "/no/such/x.json: No such file or directory");
  CHECK(check_folder(folder.path()).ok());
  CHECK(check_folder(folder.path() + "/other").ok());
  CHECK(check_folder(folder.path() + "/no/such").text() == "cannot write into " + folder.path() + "/no/such: No such file or directory");
  CHECK(check_folder("/dev/null").text() == "cannot write into /dev/null: Not a directory");
  CHECK(file_word("a b/../\n\xff.c") == "a_b_..___.c");
  CHECK(file_word("") == "_");
}

TEST_CASE("a file that is full ends with a whole line") {
  const TemporaryFolder folder;
  const std::string line = "{\"text\":\"" + std::string(1000, 'x') + "\"}";
  Result<TraceFile> limited = TraceFile::make(folder.path(), "limited", 10'000);
  REQUIRE(limited.ok());
  Status status;
  int added = 0;
  for (; status.ok() && added < 100; ++added)
    if (status = limited.value().add(line); status.ok()) status = limited.value().flush();
  CHECK(added == 10);
  CHECK(status.text().find("has reached its limit") != std::string::npos);
  CHECK(limited.value().close().text() == status.text());
  const std::string text = contents(limited.value().path());
  CHECK(text.substr(text.size() - 5) == "\"}\n]\n");

  // A disk without room, as a limit of this process: EFBIG instead of ENOSPC. The library's threads block the signal that comes with it.
  CHECK(in_child([&] {
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
    const rlimit small{3500, 3500};
    setrlimit(RLIMIT_FSIZE, &small);
    Result<TraceFile> file = TraceFile::make(folder.path(), "full", 1 << 20);
    if (!file.ok()) return false;
    Status written;
    for (int i = 0; written.ok() && i < 10; ++i)
      if (written = file.value().add(line); written.ok()) written = file.value().flush();
    (void)file.value().close();
    return written.text().find("File too large") != std::string::npos;
  }));
  const std::string full = contents(folder.path() + "/full.json");
  CHECK(full.size() > 3000);
  CHECK(full.substr(full.size() - 5) == "\"}\n]\n");
}

TEST_CASE("the difference of two clocks lies between the bounds, which get narrow") {
  std::mt19937_64 random(7);
  for (int trial = 0; trial < 1000; ++trial) {
    const int64_t truth = static_cast<int64_t>(random() % 2'000'000'000'000) - 1'000'000'000'000;  // to add to my time
    ClockComparison comparison;
    int64_t now = 1'000'000'000, least_round = INT64_MAX;
    const auto pass = [&] { return static_cast<int64_t>(random() % 400'000); };
    for (int round = 0; round < ClockComparison::kRounds; ++round) {
      // Rank 0 sends after all of the round before is there, which this rank has sent before.
      const int64_t sent = now + pass(), theirs = now + pass() + truth, come = std::max(sent, theirs - truth) + pass();
      if (round > 0) least_round = std::min(least_round, come - now);
      comparison.add(sent, come, theirs);
      now = come;
    }
    const ClockOffset offset = comparison.result();
    REQUIRE(std::abs(offset.ns - truth) <= offset.uncertainty_ns);
    REQUIRE(offset.uncertainty_ns <= 1'200'000);
    REQUIRE(offset.uncertainty_ns > 0);
  }
  CHECK(ClockComparison().result().uncertainty_ns == 0);
}

TEST_CASE("the last 256 calls are remembered, finished or not") {
  Recorder recorder;
  Call call;
  call.kind = CallKind::AllReduce;
  for (uint64_t number = 1; number <= 300; ++number) {
    call.count = number;
    if (number >= 299) recorder.note_stream(number, 1, 5);
    recorder.begin(number, signature_of(call));
    if (number < 300) recorder.end(number);
  }
  const std::vector<PastCall> calls = recorder.calls(300, 299);
  REQUIRE(calls.size() == 256);
  for (size_t i = 0; i < calls.size(); ++i) {
    CHECK(calls[i].number == 45 + i);
    CHECK(count_of(calls[i].signature) == 45 + i);
    CHECK(calls[i].finished == (i < 255));
    CHECK((calls[i].ended >= calls[i].began) == (i < 255));
    CHECK(calls[i].stream == (i >= 254 ? 5 : 0));
  }
  CHECK(count_of(recorder.find(45, 300).value_or(0)) == 45);
  CHECK_FALSE(recorder.find(44, 300));
  CHECK_FALSE(recorder.find(301, 300));
  CHECK_FALSE(recorder.find(0, 300));

  call.kind = CallKind::PointToPoint;
  call.count = 9;
  recorder.set_single_stream(2);
  const uint32_t first = recorder.begin_single(signature_of(call), 1, 3, true);
  (void)recorder.begin_single(signature_of(call), 1, 4, false);
  recorder.end_single(first);
  const std::vector<PastCall> with_singles = recorder.calls(300, 299);
  REQUIRE(with_singles.size() == 256);
  const PastCall &sent = with_singles[254], &received = with_singles[255];
  CHECK((sent.single && sent.sends && sent.finished && sent.peer == 3 && sent.stream == 2 && count_of(sent.signature) == 9));
  CHECK((received.single && !received.sends && !received.finished && received.peer == 4));
}

TEST_CASE("counts of the processor's clock become times") {
  const TickTime earlier{1000, 5'000'000}, later{3000, 6'000'000};
  CHECK(ns_of(2000, earlier, later) == 5'500'000);
  CHECK(ns_of(1000, earlier, later) == 5'000'000);
  CHECK(ns_of(500, earlier, later) == 4'750'000);
  CHECK(ns_of(7, later, later) == 6'000'000);
  const TickTime begin;
  while (now_ns() < begin.ns + 2'000'000) {
  }
  const TickTime middle;
  while (now_ns() < begin.ns + 4'000'000) {
  }
  CHECK(std::abs(ns_of(middle.count, begin, TickTime()) - middle.ns) < 1'000'000);
}

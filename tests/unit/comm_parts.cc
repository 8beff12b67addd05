// comm_parts: parts of a communicator by themselves: its life, and the regions that its transports hear of.
#include <string>
#include <thread>
#include <vector>

#include "lib/comm/life.h"
#include "lib/comm/regions.h"
#include "tests/catch.h"

using namespace tutti;

namespace {

// Keeps what the communicator tells it.
class Told final : public Control {
 public:
  uint32_t number() const override { return 1; }
  Result<std::vector<std::string>> all_gather(const std::string&, Deadline, const std::string&) override { return fail(Code::InternalError, ""); }
  void abort(const Cause& cause) override { texts.push_back(cause.text); }
  void report_timeout(uint64_t, const std::vector<int>&, const std::string&) override {}
  void report_mismatch(uint64_t, const std::string&, const Cause&) override {}
  std::optional<Departure> leave(const std::optional<Departure>&) override { return {}; }
  Result<Generation> regenerate(Deadline) override { return fail(Code::InternalError, ""); }
  std::vector<std::string> texts;
};

// Keeps what it is told of memory, and counts how often it is woken.
class Listening final : public Transport {
 public:
  const char* name() const override { return "listening"; }
  Result<std::string> address() override { return std::string(); }
  Status connect(std::span<const std::string>, Deadline) override { return {}; }
  Reach reach(int) const override { return {}; }
  Endpoint& endpoint(int) override { throw std::logic_error("it has no endpoint"); }
  void expose(std::span<std::byte> memory) override { heard.push_back("+" + std::to_string(memory.size())); }
  void withdraw(std::span<std::byte> memory) override { heard.push_back("-" + std::to_string(memory.size())); }
  void wake() override { ++woken; }
  std::vector<std::string> heard;
  int woken = 0;
};

struct Transports {
  Transports() {
    for (int i = 0; i < 2; ++i) all.push_back(std::make_unique<Listening>());
  }
  Listening& at(size_t i) { return static_cast<Listening&>(*all[i]); }
  std::vector<std::unique_ptr<Transport>> all;
};

const Cause kCause{Code::RemoteError, 3, "rank 3 died"};

}  // namespace

TEST_CASE("transports hear of all regions, whenever they were registered") {
  using Heard = std::vector<std::string>;
  Transports transports;
  Regions regions;
  std::vector<std::byte> memory(100);
  const uint64_t early = regions.add({memory.data(), 10});
  regions.open(transports.all);
  const uint64_t late = regions.add({memory.data() + 20, 20});
  CHECK(early != 0);
  CHECK(early != late);
  CHECK(regions.remove(early));
  CHECK_FALSE(regions.remove(early));
  CHECK_FALSE(regions.remove(0));
  for (const size_t i : {0, 1}) CHECK(transports.at(i).heard == Heard{"+10", "+20", "-10"});
}

TEST_CASE("a life goes from its making to its end") {
  Told told;
  Transports transports;
  Life life(0);
  CHECK(life.state().code() == Code::InProgress);
  life.start_meeting();
  CHECK_FALSE(life.has_met());
  REQUIRE(life.start_connecting(told).ok());
  CHECK(life.has_met());
  CHECK_FALSE(life.usable());
  life.finish_connecting(transports.all);
  CHECK(life.usable());
  CHECK(life.state().ok());
  CHECK(life.start_splitting());
  CHECK_FALSE(life.start_splitting());
  CHECK_FALSE(life.usable());
  CHECK(life.state().code() == Code::InProgress);
  CHECK(life.refusal().code() == Code::InvalidUsage);
  life.finish_splitting();
  CHECK(life.usable());
  CHECK(life.start_leaving());
  CHECK(life.leaving());
  CHECK_FALSE(life.usable());
  CHECK(life.state().code() == Code::InProgress);
  CHECK(life.refusal().code() == Code::InvalidUsage);
  CHECK_FALSE(life.start_leaving());
  CHECK_FALSE(life.start_splitting());
  life.finish_leaving();
  life.wait_left();
  CHECK(life.state().ok());
  CHECK(life.refusal().code() == Code::InvalidUsage);
  CHECK_FALSE(life.start_leaving());
  CHECK_FALSE(life.leaving());
  CHECK(told.texts.empty());
}

TEST_CASE("the first failure counts, is told once, and wakes who sleeps") {
  Told told;
  Transports transports;
  Life life(0);
  life.start_meeting();
  REQUIRE(life.start_connecting(told).ok());
  life.finish_connecting(transports.all);
  SECTION("found here") {
    life.fail(kCause);
    life.fail({Code::SystemError, 0, "later"});
    life.hear({Code::SystemError, 0, "later still"});
    CHECK(told.texts == std::vector<std::string>{"rank 3 died"});
  }
  SECTION("heard of") {
    life.hear(kCause);
    life.fail({Code::SystemError, 0, "later"});
    CHECK(told.texts.empty());
  }
  CHECK(life.failed());
  CHECK(life.state().text() == "rank 3 died");
  for (const size_t i : {0, 1}) CHECK(transports.at(i).woken == 1);
  CHECK_FALSE(life.start_splitting());
  CHECK_FALSE(life.start_leaving());
  life.finish_leaving();
  CHECK(life.refusal().text() == "rank 3 died");
}

TEST_CASE("a failure before the ranks have met is told when they have") {
  Told told;
  Life life(0);
  life.start_meeting();
  life.end_meeting(fail(Code::RemoteError, "the parent failed"));
  CHECK(life.failed_flag().load());
  CHECK(life.start_connecting(told).text() == "the parent failed");
  life.fail({Code::RemoteError, -1, "the parent failed"});
  CHECK(told.texts == std::vector<std::string>{"the parent failed"});
}

TEST_CASE("a parent ends the meeting of its child, but not the child") {
  Told told;
  Life parent(0), child(1);
  parent.start_meeting();
  child.start_meeting();
  SECTION("the child meets") {
    parent.set_meeting_child(&child);
    parent.hear(kCause);
    CHECK(child.failure().text() == "rank 3 died");
  }
  SECTION("the parent has failed before") {
    parent.hear(kCause);
    parent.set_meeting_child(&child);
    CHECK(child.failed());
  }
  SECTION("the child has met") {
    parent.set_meeting_child(&child);
    REQUIRE(child.start_connecting(told).ok());
    parent.hear(kCause);
    CHECK_FALSE(child.failed());
  }
}

// A life in one of its phases: made, ready, splitting, leaving, left.
struct Phases {
  explicit Phases(int phase) {
    if (phase >= 1) {
      life.start_meeting();
      REQUIRE(life.start_connecting(told).ok());
      life.finish_connecting({});
    }
    if (phase == 2) CHECK(life.start_splitting());
    if (phase >= 3) CHECK(life.start_leaving());
    if (phase == 4) life.finish_leaving();
  }
  Told told;
  Life life{2};
};

TEST_CASE("revoke works until a rank leaves, and is told") {
  const int phase = GENERATE(0, 1, 2, 3, 4);
  Phases phases(phase);
  const Status revoked = phases.life.revoke();
  if (phase >= 3) {
    CHECK(revoked.code() == Code::InvalidUsage);
    CHECK(revoked.text().find("was finalized") != std::string::npos);
    CHECK(phases.told.texts.empty());
    return;
  }
  CHECK(revoked.ok());
  if (phase == 2) {  // the split may still write a handle
    CHECK(phases.life.state().code() == Code::InProgress);
    phases.life.finish_splitting();
  }
  CHECK(phases.life.state().code() == Code::InvalidUsage);
  CHECK(phases.life.state().text() == "rank 2 revoked the communicator");
  if (phase >= 1) CHECK(phases.told.texts == std::vector<std::string>{"rank 2 revoked the communicator"});
  CHECK(phases.life.revoke().text() == "rank 2 revoked the communicator");
  CHECK(phases.told.texts.size() == (phase >= 1 ? 1 : 0));
}

TEST_CASE("abort works in every phase") {
  const int phase = GENERATE(0, 1, 2, 3, 4);
  Phases phases(phase);
  Life& life = phases.life;
  Told& told = phases.told;
  std::thread splits;
  if (phase == 2) splits = std::thread([&] {
    while (!life.failed()) std::this_thread::yield();
    life.finish_splitting();
  });
  life.abort();  // returns when the split has ended
  if (splits.joinable()) splits.join();
  CHECK(life.state().code() == Code::InvalidUsage);
  CHECK(life.state().text().find("was aborted on this rank (2)") != std::string::npos);
  if (phase >= 1) CHECK(told.texts.at(0) == "rank 2 aborted the communicator");
}

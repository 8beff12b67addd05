// unique_id_test: damaged ids, well-known ids, the choice of the interface.
#include "lib/boot/unique_id.h"
#include "tests/boot/ranks.h"
#include "tests/catch.h"

using namespace tutti;
using namespace tutti::test;

TEST_CASE("every flipped bit of an id is answered at once") {
  const Settings settings = loopback();
  Result<UniqueId> id = make_unique_id(settings);
  REQUIRE(id.ok());
  const int64_t before = now_ns();
  for (size_t bit = 0; bit < 1024; ++bit) {
    UniqueId bad = id.value();
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    const auto control = Control::join(settings, bad, 0, 2, {}, kNoCancel);
    REQUIRE(!control.ok());
    REQUIRE(control.status().code() == Code::InvalidArgument);
    REQUIRE(control.status().text().find("the unique id is damaged") == 0);
  }
  CHECK(now_ns() - before < 1'000'000'000);
  UniqueId zero{};
  CHECK(Control::join(settings, zero, 0, 2, {}, kNoCancel).status().code() == Code::InvalidArgument);
}

TEST_CASE("ids differ, and carry no trace of one another") {
  const Settings settings = loopback();
  Result<UniqueId> a = make_unique_id(settings), b = make_unique_id(settings);
  REQUIRE(a.ok());
  REQUIRE(b.ok());
  CHECK(decode_id(a.value()).value().secret != decode_id(b.value()).value().secret);
}

TEST_CASE("rank and rank count are checked") {
  const Settings settings = loopback();
  Result<UniqueId> id = make_unique_id(settings);
  for (const auto& [rank, ranks] :
       {std::pair(-1, 2), std::pair(2, 2), std::pair(0, 1), std::pair(0, 0), std::pair(0, 1 << 20)})
    CHECK(Control::join(settings, id.value(), rank, ranks, {}, kNoCancel).status().code() == Code::InvalidArgument);
}

TEST_CASE("a well-known id is a function of its text") {
  const auto make = [](const char* text) { return make_unique_id(loopback("20", text)); };
  CHECK(make("127.0.0.1:4711#x").value() == make("127.0.0.1:4711#x").value());
  CHECK(make("127.0.0.1:4711#x").value() != make("127.0.0.1:4711#y").value());
  CHECK(make("127.0.0.1:4711").value() != make("127.0.0.1:4712").value());
  CHECK(to_text(decode_id(make("[::1]:4711#x").value()).value().address) == "[::1]:4711");
  CHECK(to_text(decode_id(make("localhost:4711#x").value()).value().address).find(":4711") != std::string::npos);
}

TEST_CASE("a bad TUTTI_COMM_ID is named, its secret is not") {
  for (const char* text : {"nonsense", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:70000", "127.0.0.1:12x", ":4711", "::1:4711",
                           "127.0.0.1:4711#", "0.0.0.0:4711", "no.such.host.invalid:4711#hushhush"}) {
    const auto id = make_unique_id(loopback("20", text));
    INFO(text);
    REQUIRE(!id.ok());
    CHECK(id.status().code() == Code::InvalidArgument);
    CHECK(id.status().text().find("TUTTI_COMM_ID=") == 0);
    CHECK(id.status().text().find("expected host:port") != std::string::npos);
    CHECK(id.status().text().find("hushhush") == std::string::npos);
  }
}

TEST_CASE("a rendezvous to which nobody comes ends and leaves no thread or socket") {
  const Settings settings = loopback("0.5");
  const auto held = [] { return std::pair(library_threads(), count_entries("/proc/self/fd")); };
  REQUIRE(eventually(25, [] { return library_threads() == 0; }));  // those of earlier tests
  const auto before = held();
  for (const auto& make : {make_unique_id, make_child_id}) {
    const Result<UniqueId> id = make(settings);
    REQUIRE(id.ok());
    CHECK(held().first > before.first);
    CHECK(held().second > before.second);
    CHECK(eventually(5, [&] { return held() == before; }));
    Crew late(2);
    CHECK(!late.join(settings, id.value()));
    CHECK(late.statuses[0].text().find("nobody is at the rendezvous") == 0);
  }
}

TEST_CASE("ranks that come late to a rendezvous have all of their own time") {
  const Settings brief = loopback("0.5"), patient = loopback();
  const Result<UniqueId> child = make_child_id(brief);
  REQUIRE(child.ok());
  Crew crew(2);
  CHECK(crew.each([&](int rank) {
    const auto at = static_cast<size_t>(rank);
    if (rank == 1) usleep(800'000);  // the rendezvous' own time is over
    auto control = Control::join(patient, child.value(), rank, 2, crew.watches[at].callbacks(), kNoCancel);
    if (control.ok()) crew.controls[at] = std::move(control.value());
    return control.ok();
  }));
  crew.leave_and_destroy();
}

TEST_CASE("a rendezvous listens at a port of TUTTI_PORTS, or says that none is free") {
  loopback();
  Address own;
  own.family = 4;
  own.ip = {127, 0, 0, 1};
  const Result<Descriptor> taken = listen_at(&own);  // takes a free port
  REQUIRE(taken.ok());
  const Ports range{static_cast<uint16_t>(own.port - 1), own.port};
  setenv("TUTTI_PORTS", concat(range.first, "-", range.last).c_str(), 1);
  const Settings both = Settings::load().value();
  setenv("TUTTI_PORTS", std::to_string(own.port).c_str(), 1);
  const Settings one = Settings::load().value();
  unsetenv("TUTTI_PORTS");
  const Result<UniqueId> none = make_unique_id(one);
  REQUIRE(!none.ok());
  for (const std::string& word : {std::string("TUTTI_PORTS"), std::to_string(own.port)})
    CHECK(none.status().text().find(word) != std::string::npos);
  if (const Result<UniqueId> id = make_unique_id(both); id.ok())  // it fails if another program has that port
    CHECK(decode_id(id.value()).value().address.port == range.first);
}

TEST_CASE("TUTTI_SOCKET_IFNAME chooses") {
  const auto choose = [](const char* filter) {
    loopback();
    setenv("TUTTI_SOCKET_IFNAME", filter, 1);
    return choose_interface(Settings::load().value());
  };
  CHECK(to_text(choose("lo").value()) == "127.0.0.1:0");
  CHECK(to_text(choose("=lo").value()) == "127.0.0.1:0");
  CHECK(to_text(choose("nothing,lo").value()) == "127.0.0.1:0");
  CHECK(choose("^nothing").ok());
  const auto none = choose("=l");
  REQUIRE(!none.ok());
  CHECK(none.status().code() == Code::InvalidArgument);
  CHECK(none.status().text().find("lo (127.0.0.1)") != std::string::npos);
  CHECK(choose("").ok());
  CHECK(choose("^lo").ok() == (to_text(choose("").value()) != "127.0.0.1:0"));
}

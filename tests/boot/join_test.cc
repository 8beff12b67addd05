// join_test: ranks that find one another, and ranks that do not.
#include <poll.h>
#include <sys/resource.h>

#include <random>

#include "lib/boot/connection.h"
#include "lib/boot/rendezvous.h"
#include "lib/boot/unique_id.h"
#include "tests/boot/ranks.h"
#include "tests/catch.h"

using namespace tutti;
using namespace tutti::test;

namespace {

std::string random_blob(std::mt19937& random, size_t limit) {
  std::string blob(random() % (limit + 1), '\0');
  for (char& c : blob) c = static_cast<char>(random());
  return blob;
}

// All ranks exchange `rounds` random blobs.
bool exchange(Crew& crew, int rounds, size_t limit) {
  const size_t ranks = crew.controls.size();
  std::mt19937 random(static_cast<unsigned>(ranks));
  std::vector<std::vector<std::string>> blobs(static_cast<size_t>(rounds), std::vector<std::string>(ranks));
  for (auto& round : blobs)
    for (std::string& blob : round) blob = random_blob(random, limit);
  return crew.each([&](int rank) {
    for (const auto& round : blobs) {
      const auto at = static_cast<size_t>(rank);
      const auto all = crew.controls[at]->all_gather(round[at], Deadline::after_s(20), "a test");
      if (!all.ok() || all.value() != round) return false;
    }
    return true;
  });
}

}  // namespace

TEST_CASE("threads join and exchange blobs") {
  const Settings settings = loopback();
  for (int ranks = 2; ranks <= 16; ++ranks) {
    Crew crew(ranks);
    REQUIRE(crew.join(settings, make_unique_id(settings).value()));
    CHECK(exchange(crew, 5, 300));
    crew.leave_and_destroy();
    for (Watch& watch : crew.watches) CHECK(watch.aborts == 0);
  }
}

TEST_CASE("64 threads join fast") {
  const Settings settings = loopback();
  int64_t best = INT64_MAX;
  for (int i = 0; i < 3; ++i) {
    Crew crew(64);
    const int64_t before = now_ns();
    REQUIRE(crew.join(settings, make_unique_id(settings).value()));
    best = std::min(best, now_ns() - before);
    CHECK(exchange(crew, 3, 200));
    crew.leave_and_destroy();
  }
  WARN("64 ranks joined in " << static_cast<double>(best) / 1e6 << " ms");
  CHECK(best < 5'000'000'000);
}

TEST_CASE("blobs of 64 KiB come through, larger ones do not") {
  const Settings settings = loopback();
  Crew crew(8);
  REQUIRE(crew.join(settings, make_unique_id(settings).value()));
  CHECK(crew.controls[0]->all_gather(std::string(64 * 1024 + 1, 'x'), Deadline::after_s(1), "a test").status().code() ==
        Code::InvalidArgument);
  const std::string blob(64 * 1024, 'x');
  CHECK(crew.each([&](int rank) {
    const auto all = crew.controls[static_cast<size_t>(rank)]->all_gather(blob, Deadline::after_s(20), "a test");
    return all.ok() && all.value() == std::vector<std::string>(8, blob);
  }));
  CHECK(exchange(crew, 4, 64 * 1024));
  crew.leave_and_destroy();
}

TEST_CASE("processes join with an id made before fork") {
  const Settings settings = loopback();
  const UniqueId id = make_unique_id(settings).value();
  Processes processes(5, [&](int rank, Board& board) {
    auto control = Control::join(settings, id, rank, 5, callbacks_to(board.rows[rank]), kNoCancel);
    if (!control.ok()) return false;
    const auto all = control.value()->all_gather(std::to_string(rank), Deadline::after_s(10), "a test");
    if (!all.ok() || all.value() != std::vector<std::string>{"0", "1", "2", "3", "4"}) return false;
    control.value()->leave();
    control.value().reset();
    return board.rows[rank].aborts == 0;
  });
  for (int rank = 0; rank < 5; ++rank) CHECK(processes.ended(rank, 20) == 0);
}

TEST_CASE("ranks that do not come are named") {
  const Settings settings = loopback("0.5");
  const UniqueId id = make_unique_id(settings).value();
  std::vector<Status> statuses(2);
  const int64_t before = now_ns();
  std::thread other([&] { statuses[1] = Control::join(settings, id, 3, 5, {}, kNoCancel).status(); });
  statuses[0] = Control::join(settings, id, 1, 5, {}, kNoCancel).status();
  other.join();
  for (const Status& status : statuses) {
    CHECK(status.code() == Code::RemoteError);
    CHECK(status.text() == "ranks 0, 2 and 4 of 5 did not join within 0.5 s");
  }
  CHECK(now_ns() - before < 1'500'000'000);
  SECTION("also to a rank that comes late") {
    const Status late = Control::join(settings, id, 2, 5, {}, kNoCancel).status();
    CHECK(late.code() == Code::RemoteError);
    CHECK(late.text().find("did not join within") != std::string::npos);
  }
}

TEST_CASE("an id with a good checksum and a wrong secret") {
  const Settings settings = loopback();
  IdContent content = decode_id(make_unique_id(settings).value()).value();
  content.secret[5] ^= 1;
  const int64_t before = now_ns();
  const Status status = Control::join(settings, encode_id(content), 0, 2, {}, kNoCancel).status();
  CHECK(status.code() == Code::RemoteError);
  CHECK(status.text().find("does not know the secret") != std::string::npos);
  CHECK(now_ns() - before < 1'000'000'000);
}

TEST_CASE("an id whose rendezvous is over") {
  const Settings settings = loopback();
  const UniqueId id = make_unique_id(settings).value();
  Crew crew(2);
  REQUIRE(crew.join(settings, id));
  const Status status = Control::join(settings, id, 1, 2, {}, kNoCancel).status();
  CHECK(status.code() == Code::RemoteError);
  CHECK(status.text().find("the rendezvous at 127.0.0.1:") != std::string::npos);
  crew.leave_and_destroy();
}

TEST_CASE("a rank given twice fails all") {
  const Settings settings = loopback();
  const UniqueId id = make_unique_id(settings).value();
  std::vector<Status> statuses(3);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 3; ++i)
    threads.emplace_back([&, i] { statuses[i] = Control::join(settings, id, i == 2 ? 2 : 1, 3, {}, kNoCancel).status(); });
  for (std::thread& thread : threads) thread.join();
  for (const Status& status : statuses) {
    CHECK(status.code() == Code::InvalidUsage);
    CHECK(status.text().find("rank 1 was given twice") == 0);
  }
}

TEST_CASE("ranks that disagree about their number fail all") {
  const Settings settings = loopback();
  const UniqueId id = make_unique_id(settings).value();
  std::vector<Status> statuses(3);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 3; ++i)
    threads.emplace_back(
        [&, i] { statuses[i] = Control::join(settings, id, static_cast<int>(i), i == 2 ? 4 : 3, {}, kNoCancel).status(); });
  for (std::thread& thread : threads) thread.join();
  for (const Status& status : statuses) {
    CHECK(status.code() == Code::InvalidUsage);
    CHECK(status.text().find(" says 4") != std::string::npos);
    CHECK(status.text().find(" says 3") != std::string::npos);
  }
}

TEST_CASE("a rank that dies while the others join is named") {
  const Settings settings = loopback();
  const UniqueId id = make_unique_id(settings).value();
  const IdContent content = decode_id(id).value();
  Status status;
  std::thread waiter([&] { status = Control::join(settings, id, 1, 3, {}, kNoCancel).status(); });
  {
    // Rank 2 says hello, and ends.
    int error = 0;
    Descriptor socket = std::move(start_connect(content.address, &error).value());
    const int fd = socket.get();
    Connection connection(std::move(socket), Connection::Side::Client, rendezvous_key(content.secret));
    REQUIRE(eventually(5, [&] {
      pollfd entry{fd, POLLOUT, 0};
      if (poll(&entry, 1, 0) <= 0) return false;
      connection.write_some();
      connection.read_some();
      return connection.authenticated();
    }));
    Hello hello;
    hello.who = {2, 4711, "elsewhere"};
    hello.ranks = 3;
    hello.left_ms = 20'000;
    connection.send(Kind::Hello, pack(hello));
    connection.write_some();
  }
  waiter.join();
  CHECK(status.code() == Code::RemoteError);
  CHECK(status.text().find("rank 2 (pid 4711 on elsewhere) died while the ranks were joining") == 0);
}

TEST_CASE("cancel ends joining") {
  for (const char* comm_id : {static_cast<const char*>(nullptr), "127.0.0.1:28211#cancel"}) {
    const Settings settings = loopback("20", comm_id);
    for (int rank : {0, 1}) {
      for (double head_start_s : {0.0, 0.1}) {
        const UniqueId id = make_unique_id(settings).value();  // an attempt that was given up spoils an ordinary id
        std::atomic<bool> cancel{false};
        std::atomic<int64_t> ended_ns{0};
        Status status;
        std::thread joiner([&] {
          status = Control::join(settings, id, rank, 3, {}, cancel).status();
          ended_ns = now_ns();
        });
        CHECK(!eventually(head_start_s, [&] { return ended_ns.load() != 0; }));
        const int64_t before = now_ns();
        cancel = true;
        joiner.join();
        CHECK(ended_ns - before < 500'000'000);
        CHECK(status.code() == Code::InvalidUsage);
        CHECK(status.text() == "aborted");
      }
    }
  }
}

TEST_CASE("TUTTI_COMM_ID: communicators one after the other") {
  for (const char* comm_id : {"127.0.0.1:28212#secret", "[::1]:28213#secret"}) {
    const Settings settings = loopback("20", comm_id);
    const UniqueId id = make_unique_id(settings).value();
    Crew first(4), second(4);
    // Each rank goes on to the second one on its own, while others may still be in the first.
    REQUIRE(first.each([&](int rank) {
      for (Crew* crew : {&first, &second}) {
        const auto at = static_cast<size_t>(rank);
        auto control = Control::join(settings, id, rank, 4, crew->watches[at].callbacks(), kNoCancel);
        if (!control.ok()) return false;
        crew->controls[at] = std::move(control.value());
      }
      return true;
    }));
    CHECK(exchange(first, 2, 100));
    CHECK(exchange(second, 2, 100));
    first.leave_and_destroy();
    second.leave_and_destroy();
  }
}

TEST_CASE("TUTTI_COMM_ID: rank 0 may come last, or never") {
  const Settings settings = loopback("1", "127.0.0.1:28214#secret");
  const UniqueId id = make_unique_id(settings).value();
  const Status status = Control::join(settings, id, 1, 2, {}, kNoCancel).status();
  CHECK(status.code() == Code::RemoteError);
  CHECK(status.text().find("127.0.0.1:28214 could not be reached within 1 s") != std::string::npos);
  const Settings patient = loopback("20", "127.0.0.1:28214#secret");
  Status early(Code::InternalError, "not run");
  std::thread joiner([&] {
    auto control = Control::join(patient, id, 1, 2, {}, kNoCancel);
    early = control.status();
    if (control.ok()) control.value()->leave();
  });
  eventually(0.1, [] { return false; });
  auto control = Control::join(patient, id, 0, 2, {}, kNoCancel);
  CHECK(control.ok());
  joiner.join();
  CHECK(early.ok());
  control.value()->leave();
}

TEST_CASE("nothing is left behind") {
  const Settings settings = loopback();
  const Settings known = loopback("0.3", "127.0.0.1:28215#secret");
  // In a process of its own: here, rendezvous of other cases may still be waiting for their ranks.
  Processes process(1, [&](int, Board&) {
    const auto live = [&](int round) {
      Crew crew(6);
      if (!crew.join(settings, make_unique_id(settings).value())) return false;
      if (round % 2) crew.controls[3]->abort({Code::RemoteError, 3, "enough"});
      if (round == 2)
        for (auto& control : crew.controls) control.reset();  // without leave
      crew.leave_and_destroy();
      return !Control::join(known, make_unique_id(known).value(), 0, 2, {}, kNoCancel).ok();
    };
    if (!live(0)) return false;  // descriptors that libraries open once and keep
    const auto at_rest = [] { return library_threads() == 0; };
    if (!eventually(5, at_rest)) return false;
    const int descriptors = count_entries("/proc/self/fd");
    for (int round = 1; round < 5; ++round)
      if (!live(round)) return false;
    return eventually(5, at_rest) && eventually(5, [&] { return count_entries("/proc/self/fd") == descriptors; });
  });
  CHECK(process.ended(0, 60) == 0);
}

TEST_CASE("too few descriptors are an error that says so") {
  const Settings settings = loopback("10");
  Processes process(1, [&](int, Board&) {
    const UniqueId id = make_unique_id(settings).value();
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = static_cast<rlim_t>(count_entries("/proc/self/fd") + 20);
    setrlimit(RLIMIT_NOFILE, &limit);
    Crew crew(16);
    if (crew.join(settings, id)) return false;
    for (const Status& status : crew.statuses)
      if (status.text().find("ulimit -n") != std::string::npos) return true;
    return false;
  });
  CHECK(process.ended(0, 30) == 0);
}

TEST_CASE("1024 ranks", "[.large]") {
  const Settings settings = loopback("60");
  Crew crew(1024);
  const int64_t before = now_ns();
  REQUIRE(crew.join(settings, make_unique_id(settings).value()));
  WARN("1024 ranks joined in " << static_cast<double>(now_ns() - before) / 1e6 << " ms");
  CHECK(exchange(crew, 2, 100));
  crew.leave_and_destroy();
}

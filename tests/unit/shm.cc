// shm: offers of memory between two ranks of one process.
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "lib/transport/transport.h"
#include "tests/catch.h"

using namespace tutti;

namespace {

constexpr size_t kBytes = 64 << 10;
constexpr Wire kWire{0, 0, 0, 7};

// A reader, rank 0, and a writer, rank 1.
class Pair {
 public:
  Pair() : settings_(Settings::load()) {
    REQUIRE(settings_.ok());
    std::vector<std::string> addresses;
    for (int rank = 0; rank < 2; ++rank) {
      Result<std::unique_ptr<Transport>> made = all_transports()[0].create({rank, 2, 128 << 10, settings_.value(), cancel_});
      REQUIRE(made.ok());
      transports_[rank] = std::move(made.value());
      REQUIRE(transports_[rank]->name() == std::string("shm"));
      addresses.push_back(transports_[rank]->address().value());
    }
    bool connected[2];
    std::thread other([&] { connected[1] = transports_[1]->connect(addresses, Deadline::after_s(10)).ok(); });
    connected[0] = transports_[0]->connect(addresses, Deadline::after_s(10)).ok();
    other.join();
    REQUIRE((connected[0] && connected[1]));
  }
  Transport& reader() { return *transports_[0]; }
  Transport& writer() { return *transports_[1]; }
  Endpoint& to_writer() { return transports_[0]->endpoint(1); }
  Endpoint& to_reader() { return transports_[1]->endpoint(0); }

 private:
  const Result<Settings> settings_;
  const std::atomic<bool> cancel_{false};
  std::unique_ptr<Transport> transports_[2];
};

Incoming expected_at(std::vector<std::byte>& place) {
  Incoming incoming;
  incoming.wire = kWire;
  incoming.landing = place.data();
  incoming.capacity = static_cast<uint32_t>(place.size());
  incoming.streamed = true;
  return incoming;
}

}  // namespace

TEST_CASE("what a thread offers is written there, once", "[shm]") {
  Pair pair;
  std::vector<std::byte> place(kBytes);
  Incoming incoming = expected_at(place);
  CHECK(pair.to_reader().mapped()->claim(kWire, kBytes) == nullptr);
  pair.to_writer().offer(incoming);
  CHECK(pair.to_reader().mapped()->claim(kWire, kBytes - 1) == nullptr);  // a call of another length
  std::byte* const at = pair.to_reader().mapped()->claim(kWire, kBytes);
  REQUIRE(at == place.data());
  CHECK(pair.to_reader().mapped()->claim(kWire, kBytes) == nullptr);
  CHECK(pair.to_writer().receive(incoming) == Progress::Again);
  std::memset(at, 5, kBytes);
  Outgoing outgoing;
  outgoing.bytes = kBytes;
  outgoing.posts_left = 1;
  pair.to_reader().mapped()->deliver(outgoing, kWire);
  REQUIRE(pair.to_writer().receive(incoming) == Progress::Done);
  CHECK(incoming.view.data == place.data());
  CHECK(bytes_of(incoming.view.stamp) == kBytes);
  CHECK_FALSE(incoming.lent);
  pair.to_writer().release(incoming);
}

TEST_CASE("a message of a few lines is not offered", "[shm]") {
  Pair pair;
  std::vector<std::byte> place(4096);
  Incoming incoming = expected_at(place);
  pair.to_writer().offer(incoming);
  CHECK(pair.to_reader().mapped()->claim(kWire, place.size()) == nullptr);
}

TEST_CASE("what nobody has claimed is taken back after a failure", "[shm]") {
  Pair pair;
  std::vector<std::byte> place(kBytes);
  Incoming incoming = expected_at(place);
  pair.to_writer().offer(incoming);
  pair.reader().quiesce();
  CHECK(pair.to_reader().mapped()->claim(kWire, kBytes) == nullptr);
}

// The memory may be freed afterwards.
TEST_CASE("after a failure a rank waits for a thread that writes into its memory", "[shm]") {
  Pair pair;
  std::vector<std::byte> place(kBytes);
  Incoming incoming = expected_at(place);
  pair.to_writer().offer(incoming);
  std::byte* const at = pair.to_reader().mapped()->claim(kWire, kBytes);
  REQUIRE(at == place.data());
  std::atomic<bool> quiet{false};
  std::thread waiting([&] {
    pair.reader().quiesce();
    quiet = true;
  });
  usleep(1'500'000);  // longer than for another process, which may be stopped
  CHECK_FALSE(quiet);
  std::memset(at, 5, kBytes);
  Outgoing outgoing;
  outgoing.bytes = kBytes;
  outgoing.posts_left = 1;
  pair.to_reader().mapped()->deliver(outgoing, kWire);
  waiting.join();
  CHECK(quiet);
}

namespace {

// Whether the transport's descriptors become readable within `ms`.
bool readable(const Transport& transport, int ms) {
  std::vector<pollfd> polls;
  transport.add_descriptors(polls);
  return poll(polls.data(), polls.size(), ms) > 0;
}

}  // namespace

TEST_CASE("a rank that sleeps is woken by a message, a release, and another thread", "[shm]") {
  Pair pair;
  const std::byte payload[8]{};
  Outgoing outgoing;
  outgoing.bytes = sizeof payload;
  outgoing.contiguous = payload;
  outgoing.posts_left = 1;
  pair.reader().arm();
  CHECK(pair.reader().may_sleep() > 0);
  CHECK_FALSE(readable(pair.reader(), 0));
  REQUIRE(pair.to_reader().post(outgoing, kWire) == Progress::Done);
  CHECK(readable(pair.reader(), 1000));
  pair.reader().disarm();
  CHECK_FALSE(readable(pair.reader(), 0));

  pair.writer().arm();
  Incoming incoming;
  incoming.wire = kWire;
  REQUIRE(pair.to_writer().receive(incoming) == Progress::Done);
  pair.to_writer().release(incoming);
  CHECK(readable(pair.writer(), 1000));
  pair.writer().disarm();

  pair.reader().arm();
  std::thread other([&] { pair.reader().wake(); });
  CHECK(readable(pair.reader(), 1000));
  other.join();
  pair.reader().disarm();
  CHECK_FALSE(readable(pair.reader(), 0));
}

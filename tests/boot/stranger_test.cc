// stranger_test: connections of those who do not have the id, while the ranks join.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "lib/boot/connection.h"
#include "lib/boot/unique_id.h"
#include "tests/boot/ranks.h"
#include "tests/catch.h"

using namespace tutti;
using namespace tutti::test;

namespace {

Descriptor call(const Address& address) {
  Descriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(address.port);
  std::memcpy(&in.sin_addr, address.ip.data(), 4);
  REQUIRE(connect(fd.get(), reinterpret_cast<sockaddr*>(&in), sizeof in) == 0);
  return fd;
}

void say(const Descriptor& fd, const std::string& bytes) {
  CHECK(send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0);
}

// The other side closes, whatever it sends before.
bool hung_up(const Descriptor& fd, double seconds) {
  return eventually(seconds, [&] {
    char buffer[256];
    const ssize_t got = recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN);
  });
}

const std::string kHello = std::string("tutti\0\0\2", 8) + std::string(32, 'n');

}  // namespace

TEST_CASE("strangers are dropped and the ranks join") {
  const Settings settings = loopback();
  const UniqueId id = make_unique_id(settings).value();
  const Address address = decode_id(id).value().address;
  std::vector<Descriptor> strangers;
  SECTION("who send nothing") {
    for (int i = 0; i < 200; ++i) strangers.push_back(call(address));
  }
  SECTION("who send garbage") {
    for (int i = 0; i < 50; ++i) {
      strangers.push_back(call(address));
      say(strangers.back(), "GET / HTTP/1.1\r\n\r\n");
      CHECK(hung_up(strangers.back(), 2));
    }
  }
  SECTION("who send a huge length") {
    strangers.push_back(call(address));
    say(strangers.back(), std::string(1 << 16, '\xff'));
    CHECK(hung_up(strangers.back(), 2));
  }
  SECTION("who send half a handshake") {
    for (int i = 0; i < 20; ++i) {
      strangers.push_back(call(address));
      say(strangers.back(), kHello.substr(0, static_cast<size_t>(1 + 2 * i)));
    }
  }
  SECTION("who send a wrong proof") {
    strangers.push_back(call(address));
    say(strangers.back(), kHello + std::string(32, 'p'));
    CHECK(hung_up(strangers.back(), 2));
  }
  SECTION("who send a whole handshake's worth of frames behind a wrong proof") {
    strangers.push_back(call(address));
    say(strangers.back(), kHello + std::string(50'000, '\0'));
    CHECK(hung_up(strangers.back(), 2));
  }
  Crew crew(4);
  const int64_t before = now_ns();
  REQUIRE(crew.join(settings, id));
  CHECK(now_ns() - before < 3'000'000'000);
  crew.leave_and_destroy();
}

TEST_CASE("who only waits is dropped after the handshake's deadline") {
  const Settings settings = loopback();
  const UniqueId id = make_unique_id(settings).value();
  const Descriptor stranger = call(decode_id(id).value().address);
  CHECK(!hung_up(stranger, 0.2));
  CHECK(hung_up(stranger, 7));
  Crew crew(2);
  CHECK(crew.join(settings, id));
  crew.leave_and_destroy();
}

namespace {

// Two connections that talk to each other through this test, which may change what it carries.
struct Pair {
  Pair(const Key& client_key, const Key& server_key) {
    int a[2], b[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, a) == 0);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, b) == 0);
    client.emplace(Descriptor(a[0]), Connection::Side::Client, client_key);
    server.emplace(Descriptor(b[0]), Connection::Side::Server, server_key);
    client_wire = Descriptor(a[1]);
    server_wire = Descriptor(b[1]);
  }
  static std::string take(const Descriptor& wire) {
    char buffer[4096];
    const ssize_t got = recv(wire.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    return got > 0 ? std::string(buffer, static_cast<size_t>(got)) : "";
  }
  std::string from_client() {
    client->write_some();
    return take(client_wire);
  }
  void to_server(const std::string& bytes) {
    if (!bytes.empty()) say(server_wire, bytes);
    server->read_some();
  }
  void shake() {
    to_server(from_client());
    server->write_some();
    const std::string challenge = take(server_wire);
    if (!challenge.empty()) say(client_wire, challenge);
    client->read_some();
    to_server(from_client());
    server->write_some();
    const std::string proof = take(server_wire);
    if (!proof.empty()) say(client_wire, proof);
    client->read_some();
  }
  std::optional<Connection> client, server;
  Descriptor client_wire, server_wire;
};

}  // namespace

TEST_CASE("frames are authentic or the connection breaks") {
  REQUIRE(prepare_crypto().ok());
  const Key key = random_nonce();
  Pair pair(key, key);
  pair.shake();
  REQUIRE(pair.server->authenticated());
  pair.client->send(Kind::Abort, "hello");
  const std::string frame = pair.from_client();
  SECTION("unchanged") {
    pair.to_server(frame);
    CHECK(pair.server->next()->payload == "hello");
    SECTION("but not twice") {
      pair.to_server(frame);
      CHECK(!pair.server->next());
      CHECK(pair.server->link() == Connection::Link::Forged);
    }
  }
  SECTION("a changed bit") {
    std::string bad = frame;
    const size_t at = GENERATE(0u, 4u, 5u, 9u, 20u);
    bad[at] = static_cast<char>(bad[at] ^ 1);
    pair.to_server(bad + std::string(64, '\0'));
    CHECK(!pair.server->next());
    CHECK(pair.server->link() == Connection::Link::Forged);
  }
  SECTION("turned around") {
    say(pair.client_wire, frame);
    pair.client->read_some();
    CHECK(!pair.client->next());
    CHECK(pair.client->link() == Connection::Link::Forged);
  }
}

TEST_CASE("neither side accepts the other without the key") {
  REQUIRE(prepare_crypto().ok());
  Pair pair(random_nonce(), random_nonce());
  pair.shake();
  CHECK(pair.client->link() == Connection::Link::WrongSecret);
  CHECK(!pair.client->authenticated());
  CHECK(!pair.server->authenticated());
}

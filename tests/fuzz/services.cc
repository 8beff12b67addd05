// services: the rendezvous (if the first byte is r) or the root of a tree serves three clients. The clients know the key and send the input
// as frames.
//
// They meet at an abstract unix socket: TCP ports would run out. Each client sends all its frames, closes its sending side, and waits for
// the service to close.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <optional>

#include "lib/boot/control.h"
#include "lib/boot/rendezvous.h"
#include "lib/boot/unique_id.h"
#include "tests/fuzz/target.h"

using namespace tutti;
using namespace tutti::fuzz;

namespace {

constexpr int kClients = 3;
constexpr int64_t kLeftNs = 1'000'000'000;

Descriptor open_socket() {
  Descriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  demand(fd.open(), "a socket can be made");
  return fd;
}

void wait_for(const Connection& connection, short events) {
  pollfd entry{connection.fd(), events, 0};
  poll(&entry, 1, 1000);
}

std::optional<Connection> meet(const sockaddr* name, socklen_t length, const Key& key) {
  Descriptor fd = open_socket();
  if (connect(fd.get(), name, length) != 0) return {};  // the service has timed out: this machine is slow
  std::optional<Connection> connection(std::in_place, std::move(fd), Connection::Side::Client, key);
  while (!connection->authenticated() && connection->link() == Connection::Link::Open) {
    connection->write_some();
    wait_for(*connection, POLLIN);
    connection->read_some();
  }
  if (!connection->authenticated()) connection.reset();  // the service has ended
  return connection;
}

Roster all_seats() {
  std::vector<Seat> seats;
  for (int rank = 0; rank <= kClients; ++rank) seats.push_back({{rank, 1, "host"}});
  Roster roster(kClients + 1);
  for (const std::string& piece : pack_seats(seats)) demand(roster.take(piece), "seats that are written and read are the same");
  return roster;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  const bool rendezvous = input.byte() == 'r';
  demand(prepare_crypto().ok(), "libsodium works");
  const Key secret{1}, key = rendezvous ? rendezvous_key(secret) : node_key(secret, {});

  Descriptor listener = open_socket();
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  socklen_t length = sizeof(sa_family_t);  // the kernel chooses a name
  demand(bind(listener.get(), reinterpret_cast<sockaddr*>(&name), length) == 0 && listen(listener.get(), kClients) == 0, "a server can listen");
  length = sizeof name;
  demand(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&name), &length) == 0, "the server's socket has a name");
  std::unique_ptr<Server> server;
  ControlPlane control(0, kClients + 1, {});
  if (rendezvous) {
    Result<std::unique_ptr<Server>> made = make_rendezvous(std::move(listener), secret, 0, 1, -1);
    demand(made.ok() && made.value()->start("fuzz").ok(), "a rendezvous can start");
    server = std::move(made.value());
  } else {
    demand(control.serve(std::move(listener), secret, {}).ok(), "a control thread can start");
    control.place({std::nullopt, -1, 0, all_seats(), kLeftNs});
  }

  std::vector<std::optional<Connection>> clients;
  for (int client = 0; client < kClients; ++client) clients.push_back(meet(reinterpret_cast<sockaddr*>(&name), length, key));
  while (!input.empty()) {
    std::optional<Connection>& client = clients[input.byte() % kClients];
    const Kind kind = static_cast<Kind>(input.byte());
    const std::string_view payload = input.take(input.two_bytes());
    if (client) client->send(kind, payload);
  }
  // All clients write at once. So the server mostly reads all of it before it answers, and the same input has the same effect.
  for (std::optional<Connection>& client : clients)
    if (client) client->write_some();
  for (std::optional<Connection>& client : clients) {
    if (!client) continue;
    for (; client->unsent_bytes() > 0; client->write_some()) {
      wait_for(*client, POLLOUT);
      (void)client->drain();
    }
    client->finish_writing();
    while (client->drain()) wait_for(*client, POLLIN);
  }
  clients.clear();
  if (server) server->stop(false);
  return 0;
}

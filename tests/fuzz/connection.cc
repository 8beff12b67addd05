// connection: bytes that a connection of the control plane reads from its socket. The first byte of the input chooses the test:
// c, s  the client or the server reads the input: it must not believe that the peer knows the key;
// f     a peer proves that it knows the key, then sends the input unsealed: no frame may come of it;
// g     a peer proves that it knows the key and sends the input as frames: they must arrive as they were sent.
#include "lib/boot/connection.h"

#include <sys/socket.h>

#include "tests/fuzz/target.h"

using namespace tutti;
using namespace tutti::fuzz;

namespace {

const Key kKey{1, 2, 3};

struct Ends {
  Ends() {
    int fds[2];
    demand(prepare_crypto().ok() && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0, "a pair of sockets can be made");
    here = Descriptor(fds[0]);
    there = Descriptor(fds[1]);
  }
  Descriptor here, there;
};

// Sends the input in pieces and reads after each. Each piece has its length in front.
size_t frames_of(Connection& reader, int writer, Input input) {
  size_t frames = 0;
  while (!input.empty()) {
    const std::string_view piece = input.take(input.two_bytes() % 4096u + 1);
    if (send(writer, piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
    reader.write_some();
    reader.read_some();
    while (reader.next()) ++frames;
    if (reader.link() != Connection::Link::Open) break;
  }
  return frames;
}

void check_stranger(Connection::Side side, Input input) {
  Ends ends;
  Connection reader(std::move(ends.here), side, kKey);
  demand(frames_of(reader, ends.there.get(), input) == 0 && !reader.authenticated(), "a peer without the key is not authenticated");
}

void check_known(Input input, bool honest) {
  Ends ends;
  Connection client(std::move(ends.here), Connection::Side::Client, kKey), server(std::move(ends.there), Connection::Side::Server, kKey);
  for (int round = 0; round < 8; ++round)
    for (Connection* end : {&client, &server}) {
      end->write_some();
      end->read_some();
    }
  demand(client.authenticated() && server.authenticated(), "peers that know the key authenticate each other");
  if (!honest) {
    demand(frames_of(server, client.fd(), input) == 0, "no frame comes of unsealed bytes");
    return;
  }
  while (!input.empty()) {
    const Kind kind = static_cast<Kind>(input.byte());
    const std::string payload(input.take(input.two_bytes()));
    client.send(kind, payload);
    std::optional<Frame> frame;
    while (!frame && server.link() == Connection::Link::Open) {
      client.write_some();
      server.read_some();
      frame = server.next();
    }
    demand(frame && frame->kind == kind && frame->payload == payload, "a frame arrives as it was sent");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  switch (input.byte()) {
    case 'c': check_stranger(Connection::Side::Client, input); break;
    case 's': check_stranger(Connection::Side::Server, input); break;
    case 'f': check_known(input, false); break;
    case 'g': check_known(input, true); break;
    default: break;
  }
  return 0;
}

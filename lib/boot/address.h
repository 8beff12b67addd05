// address: where a server of the control plane listens, the sockets that listen there or connect to it, and the choice of the interface.
//
// An address is an IP address with a port. Its sockets are TCP, nonblocking, close-on-exec, without Nagle, and notice a vanished host after
// kSilenceS or little more. On a host without any network an address is the name of an abstract unix socket instead.
#pragma once
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>

#include "lib/base/settings.h"
#include "lib/base/status.h"
#include "lib/base/descriptor.h"

namespace tutti {

inline constexpr int kSilenceS = 10;  // without an answer from the other side's host, until its connection ends

struct Address {
  static constexpr uint8_t kUnix = 1;
  uint8_t family = 0;  // 4, 6 or kUnix
  uint16_t port = 0;
  uint32_t scope = 0;            // interface index of a link-local address
  std::array<uint8_t, 16> ip{};  // network order; IPv4 uses the first four bytes; kUnix: the socket's name

  bool operator==(const Address&) const = default;
};

std::string to_text(const Address& address);  // "10.0.0.1:4242", "[fd00::2]:4242", "unix:0123..."
Address address_of(const sockaddr_storage& storage);

// "host:port" in two parts. The host is not looked up. An IPv6 address has no brackets here.
struct HostPort {
  std::string host;
  uint16_t port;
};
Result<HostPort> parse_host_port(const std::string& text);

// The address that "host:port" means; the host is a name, an IPv4 address or an IPv6 address in brackets. Or that of "unix:NAME", where
// ranks of one host can meet. A failure says what is wrong; the caller must add where the text came from.
Result<Address> parse_address(const std::string& text);

// A unix socket with a random name, which nobody else has.
Address fresh_unix_address();

// The address (port 0) to listen at: that of an interface that TUTTI_SOCKET_IFNAME admits. Without that setting: that of the first suitable
// interface that is up, or a unix socket if there is none.
Result<Address> choose_interface(const Settings& settings);

// If the port is 0, takes a free one of `ports` and writes it to `address`.
Result<Descriptor> listen_at(Address* address, const Ports& ports = {});

// Starts to connect. *error is 0 if that goes on: then the socket is writable when it has ended, and connect_error() says
// how (0: connected). Else it is the errno of a connection that failed at once.
Result<Descriptor> start_connect(const Address& address, int* error);
int connect_error(int fd);

// For an accepted socket.
void prepare_socket(int fd);

// The address of this side of a connection. That of a unix socket has no name.
Result<Address> local_address(int fd);

// Where an accepted connection comes from: the peer's address without the port. For a unix socket: the user's number, in `scope`.
Address source_of(int fd, const sockaddr_storage& peer);

}  // namespace tutti

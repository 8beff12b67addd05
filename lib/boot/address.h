// address: where a server of the control plane listens, the sockets that listen there or connect to it, and the choice of the interface.
//
// An IP address with a port: sockets are TCP, nonblocking, close-on-exec, without Nagle, and notice a vanished host after kSilenceS or
// little more. Or, on a host without any network, the name of an abstract unix socket.
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

// "host:port" taken apart. No name is looked up; the brackets around an IPv6 address are gone.
struct HostPort {
  std::string host;
  uint16_t port;
};
Result<HostPort> parse_host_port(const std::string& text);

// The host and port of "host:port"; the host is a name, an IPv4 address or an IPv6 address in brackets. Or "unix:NAME", which ranks of
// one host can meet at. A failure says what is wrong and leaves it to the caller to say where the text came from.
Result<Address> parse_address(const std::string& text);

// A unix socket that nobody else has.
Address fresh_unix_address();

// The address (port 0) to listen at: an interface that TUTTI_SOCKET_IFNAME admits, else the first proper one that is up, else a unix
// socket.
Result<Address> choose_interface(const Settings& settings);

// Port 0: any free one of `ports`; `address` receives it.
Result<Descriptor> listen_at(Address* address, const Ports& ports = {});

// Starts to connect. *error is 0 if that goes on: then the socket is writable when it has ended, and connect_error() says
// how (0: connected). Else it is the errno of a connection that failed at once.
Result<Descriptor> start_connect(const Address& address, int* error);
int connect_error(int fd);

// For an accepted socket.
void prepare_socket(int fd);

// The address of this side of a connection; a unix socket's has no name.
Result<Address> local_address(int fd);

// Where an accepted connection comes from: the address without its port, or a number of the user on this host.
Address source_of(int fd, const sockaddr_storage& peer);

}  // namespace tutti

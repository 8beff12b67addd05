// address: see address.h.
#include "lib/boot/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "lib/base/crypto.h"

namespace tutti {
namespace {

std::string unix_name(const Address& address) {
  std::string name = "tutti-";
  for (const uint8_t byte : address.ip) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", byte);
    name += digits;
  }
  return name;
}

socklen_t fill(const Address& address, sockaddr_storage* storage) {
  std::memset(storage, 0, sizeof *storage);
  if (address.family == Address::kUnix) {
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    const std::string name = unix_name(address);
    std::memcpy(un.sun_path + 1, name.data(), name.size());  // the zero byte before it makes the name abstract
    std::memcpy(storage, &un, sizeof un);
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  }
  if (address.family == 4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(address.port);
    std::memcpy(&in.sin_addr, address.ip.data(), 4);
    std::memcpy(storage, &in, sizeof in);
    return sizeof in;
  }
  sockaddr_in6 in6{};
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(address.port);
  in6.sin6_scope_id = address.scope;
  std::memcpy(&in6.sin6_addr, address.ip.data(), 16);
  std::memcpy(storage, &in6, sizeof in6);
  return sizeof in6;
}

Result<Descriptor> stream_socket(const Address& address) {
  const int family = address.family == 4 ? AF_INET : address.family == 6 ? AF_INET6 : AF_UNIX;
  Descriptor fd(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.open()) {
    const int error = errno;
    return system_failure(error, error == EMFILE ? "cannot open a socket (raise the limit with ulimit -n)" : "cannot open a socket");
  }
  return fd;
}

void set_option(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof value);
}

// Returns 0, or errno.
int listen_there(int fd, const Address& address) {
  // With SO_REUSEADDR a given port can be used again while old connections remain on it. It must not be set for any free port: then two
  // sockets may get the same port, and only one can listen.
  if (address.port != 0) set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.family == 6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  sockaddr_storage storage;
  const socklen_t length = fill(address, &storage);
  return bind(fd, reinterpret_cast<sockaddr*>(&storage), length) == 0 && listen(fd, SOMAXCONN) == 0 ? 0 : errno;
}

}  // namespace

std::string to_text(const Address& address) {
  if (address.family == Address::kUnix) return concat("unix:", unix_name(address));
  char text[INET6_ADDRSTRLEN] = "?";
  inet_ntop(address.family == 4 ? AF_INET : AF_INET6, address.ip.data(), text, sizeof text);
  return address.family == 4 ? concat(text, ":", address.port) : concat("[", text, "]:", address.port);
}

Address address_of(const sockaddr_storage& storage) {
  Address address;
  if (storage.ss_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, &storage, sizeof in);
    address.family = 4;
    address.port = ntohs(in.sin_port);
    std::memcpy(address.ip.data(), &in.sin_addr, 4);
  } else if (storage.ss_family == AF_INET6) {
    sockaddr_in6 in6;
    std::memcpy(&in6, &storage, sizeof in6);
    address.family = 6;
    address.port = ntohs(in6.sin6_port);
    address.scope = in6.sin6_scope_id;
    std::memcpy(address.ip.data(), &in6.sin6_addr, 16);
  } else if (storage.ss_family == AF_UNIX) {
    address.family = Address::kUnix;
  }
  return address;
}

Address fresh_unix_address() {
  Address address;
  address.family = Address::kUnix;
  const Nonce name = random_nonce();
  std::copy_n(name.begin(), address.ip.size(), address.ip.begin());
  return address;
}

Result<HostPort> parse_host_port(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return fail(Code::InvalidArgument, "there is no host:port in it");
  std::string host = text.substr(0, colon);
  const std::string port = text.substr(colon + 1);
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string::npos)
    return fail(Code::InvalidArgument, "'", port, "' is not a port");
  const long number = std::strtol(port.c_str(), nullptr, 10);
  if (number < 1 || number > 65535) return fail(Code::InvalidArgument, "port ", number, " is not in 1..65535");
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string::npos)
    return fail(Code::InvalidArgument, "an IPv6 address needs brackets");
  if (host.find('\0') != std::string::npos) return fail(Code::InvalidArgument, "a host has no byte 0 in its name");
  return HostPort{std::move(host), static_cast<uint16_t>(number)};
}

Result<Address> parse_address(const std::string& text) {
  if (constexpr std::string_view kPrefix = "unix:"; text.compare(0, kPrefix.size(), kPrefix) == 0) {
    if (text.size() == kPrefix.size()) return fail(Code::InvalidArgument, "there is no name after unix:");
    Address address;
    address.family = Address::kUnix;
    const Key name = hash_text("tutti unix socket", text.substr(kPrefix.size()));
    std::copy_n(name.begin(), address.ip.size(), address.ip.begin());
    return address;
  }
  const Result<HostPort> parts = parse_host_port(text);
  if (!parts.ok()) return parts.status();
  const std::string& host = parts.value().host;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &list); error != 0)
    return fail(Code::InvalidArgument, "the host '", host, "' is not known (", gai_strerror(error), ")");
  // IPv4 first: a name that has both is more often reachable there.
  Address found;
  for (const addrinfo* entry = list; entry; entry = entry->ai_next) {
    sockaddr_storage storage{};
    if (entry->ai_addrlen > sizeof storage) continue;
    std::memcpy(&storage, entry->ai_addr, entry->ai_addrlen);
    const Address address = address_of(storage);
    if (found.family == 0 || (found.family == 6 && address.family == 4)) found = address;
  }
  freeaddrinfo(list);
  if (found.family == 0) return fail(Code::InvalidArgument, "the host '", host, "' has no IP address");
  if (found.ip == std::array<uint8_t, 16>{}) return fail(Code::InvalidArgument, "the address must name one host");
  found.port = parts.value().port;
  return found;
}

Result<Descriptor> listen_at(Address* address, const Ports& ports) {
  const bool chosen = address->port == 0 && address->family != Address::kUnix && !ports.any();
  Result<Descriptor> fd = Descriptor();
  int error = EADDRINUSE;
  for (uint32_t tried = 0; error == EADDRINUSE && tried < (chosen ? ports.count() : 1); ++tried) {
    Address at = *address;
    if (chosen) at.port = ports.at(tried);
    fd = stream_socket(at);  // a new socket each time: the last one may be bound to its port
    if (!fd.ok()) return fd;
    error = listen_there(fd.value().get(), at);
  }
  if (error != 0) {
    const std::string which = chosen ? concat(", at any of the ports ", ports.first, " to ", ports.last, " (TUTTI_PORTS)") : "";
    return system_failure(error, "cannot listen at ", to_text(*address), which,
                          error == EADDRNOTAVAIL ? ", which is not an address of this host" : "");
  }
  if (address->family == Address::kUnix) return fd;
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (getsockname(fd.value().get(), reinterpret_cast<sockaddr*>(&storage), &length) != 0)
    return system_failure(errno, "getsockname");
  *address = address_of(storage);
  return fd;
}

Result<Descriptor> start_connect(const Address& address, int* error) {
  Result<Descriptor> fd = stream_socket(address);
  if (!fd.ok()) return fd;
  prepare_socket(fd.value().get());
  sockaddr_storage storage;
  const socklen_t length = fill(address, &storage);
  *error = connect(fd.value().get(), reinterpret_cast<sockaddr*>(&storage), length) == 0 ? 0 : errno;
  if (*error == EINPROGRESS || *error == EINTR) *error = 0;
  return fd;
}

int connect_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

void prepare_socket(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  // Silent for 4 s, then asked every 2 s: a host that is gone is noticed after kSilenceS, whether or not there is data under way.
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 4);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 2);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, (kSilenceS - 4) / 2);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kSilenceS * 1000);
}

Result<Address> local_address(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return system_failure(errno, "getsockname");
  return address_of(storage);
}

Address source_of(int fd, const sockaddr_storage& peer) {
  Address source = address_of(peer);
  source.port = 0;
  if (source.family != Address::kUnix) return source;
  ucred user{};
  socklen_t length = sizeof user;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &user, &length) == 0) source.scope = user.uid;
  return source;
}

}  // namespace tutti

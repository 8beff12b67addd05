// id_socket: see id_socket.h.
#include "tools/launch/id_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tutti::tool {
namespace {

constexpr double kDefaultPatience_s = 120;
constexpr double kMostPatience_s = 2e6;  // poll counts milliseconds with int
constexpr const char* kAdvice = "; on several hosts set TUTTI_COMM_ID=host:port#secret in the environment, the same for all ranks (tutti-run --print-id HOST makes one)";
using Clock = std::chrono::steady_clock;

// FNV-1a: keeps the name within the socket's 107 bytes.
uint64_t hash_of(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

// TUTTI_INIT_TIMEOUT. As in the library, blanks around the number do not count. A value that is not a number counts as not set here: the
// library refuses it later.
std::chrono::milliseconds patience() {
  const char* const text = std::getenv("TUTTI_INIT_TIMEOUT");
  double seconds = kDefaultPatience_s;
  if (text) {
    char* end = nullptr;
    const double given = std::strtod(text, &end);
    end += std::strspn(end, " \t\r\n\v\f");
    if (end != text && *end == '\0' && given > 0) seconds = std::min(given, kMostPatience_s);
  }
  return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
}

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }
  // False when the deadline has passed.
  bool wait(short events, Clock::time_point deadline) const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd entry{fd_, events, 0};
    return left > 0 && (poll(&entry, 1, static_cast<int>(left)) > 0 || errno == EINTR);
  }
  bool same_user() const {
    ucred peer{};
    socklen_t size = sizeof peer;
    return getsockopt(fd_, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
  }

 private:
  int fd_;
};

struct Name {
  sockaddr_un address{};
  socklen_t size;
  explicit Name(const std::string& key) {
    address.sun_family = AF_UNIX;  // sun_path[0] stays 0: abstract
    const int length = std::snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "tutti-perf-%u-%016llx", geteuid(),
                                     static_cast<unsigned long long>(hash_of(key)));
    size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + static_cast<size_t>(length));
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

int make_socket() {
  return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

std::string give(const Name& name, int others, const tuttiUniqueId& id, Clock::time_point deadline) {
  const Socket door(make_socket());
  if (bind(door.fd(), name.get(), name.size) != 0 || listen(door.fd(), SOMAXCONN) != 0)
    return std::string("cannot open the socket for the unique id: ") + std::strerror(errno);
  for (int given = 0; given < others;) {
    if (!door.wait(POLLIN, deadline))
      return "only " + std::to_string(given) + " of " + std::to_string(others) +
             " other processes of this job asked for the unique id on this host" + kAdvice;
    const Socket guest(accept4(door.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    if (guest.fd() < 0 || !guest.same_user()) continue;
    // 128 bytes fit into any socket's buffer: this never waits.
    if (send(guest.fd(), &id, sizeof id, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof id)) ++given;
  }
  return "";
}

std::string take(const Name& name, tuttiUniqueId& id, Clock::time_point deadline) {
  while (Clock::now() < deadline) {
    const Socket guest(make_socket());
    if (connect(guest.fd(), name.get(), name.size) == 0) {
      if (!guest.same_user()) return "another user holds the name of this job's socket";
      size_t done = 0;
      while (done < sizeof id && guest.wait(POLLIN, deadline)) {
        const ssize_t got = recv(guest.fd(), reinterpret_cast<char*>(&id) + done, sizeof id - done, 0);
        if (got <= 0 && errno != EAGAIN && errno != EINTR) break;
        if (got == 0) break;
        if (got > 0) done += static_cast<size_t>(got);
      }
      if (done == sizeof id) return "";
    }
    // Process 0 has not opened its door yet.
    const timespec pause{0, 2'000'000};
    nanosleep(&pause, nullptr);
  }
  return std::string("process 0 of this job gave no unique id on this host") + kAdvice;
}

}  // namespace

std::string pass_id(const std::string& key, int process, int processes, tuttiUniqueId& id) {
  const Name name(key);
  const Clock::time_point deadline = Clock::now() + patience();
  return process == 0 ? give(name, processes - 1, id, deadline) : take(name, id, deadline);
}

}  // namespace tutti::tool

// unix_socket: see unix_socket.h.
#include "transports/shm/unix_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace tutti::shm {
namespace {

constexpr int kBacklog = 1024;
constexpr int kFullMs = 2;  // between two tries while the peer's backlog is full or too many descriptors are in flight

Result<Descriptor> unix_socket() {
  Descriptor descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!descriptor.open()) return too_many_files("cannot open a unix socket", errno);
  return descriptor;
}

Status hung_up() { return fail(Code::RemoteError, "shm: a rank on this host hung up"); }

}  // namespace

socklen_t abstract_name(const char* prefix, const Token& token, sockaddr_un& name) {
  name = {};
  name.sun_family = AF_UNIX;  // sun_path[0] stays 0: an abstract name
  const int length = std::snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "%s%016lx%016lx", prefix,
                                   static_cast<unsigned long>(token[0]), static_cast<unsigned long>(token[1]));
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + static_cast<size_t>(length));
}

Status too_many_files(const char* what, int error) {
  return system_failure(error, "shm: ", what, error == EMFILE || error == ENFILE ? " (raise the limit with ulimit -n)" : "");
}

Status may_wait(const Patience& patience, const char* what) {
  if (patience.cancel.load(std::memory_order_acquire)) return fail(Code::RemoteError, "shm: ", what, " was cancelled");
  if (patience.deadline.passed()) return fail(Code::RemoteError, "shm: ", what, " did not happen in time");
  return {};
}

Status wait_for(int descriptor, short events, const Patience& patience, const char* what) {
  for (;;) {
    pollfd entry{descriptor, events, 0};
    const int ready = poll(&entry, 1, patience.deadline.left_ms(kSliceMs));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return system_failure(errno, "shm: poll for ", what);
    TUTTI_TRY(may_wait(patience, what));
  }
}

Result<Descriptor> listen_at(const Token& token) {
  Result<Descriptor> descriptor = unix_socket();
  if (!descriptor.ok()) return descriptor;
  sockaddr_un name;
  const socklen_t length = abstract_name("tutti-", token, name);
  if (bind(descriptor.value().get(), reinterpret_cast<sockaddr*>(&name), length) != 0 || listen(descriptor.value().get(), kBacklog) != 0)
    return system_failure(errno, "shm: cannot listen on a unix socket");
  return descriptor;
}

// The socket does not block: a blocking connect() would wait for room in the backlog for as long as the peer lives.
Result<Descriptor> connect_to(const Token& token, const Patience& patience) {
  Result<Descriptor> descriptor = unix_socket();
  if (!descriptor.ok()) return descriptor;
  sockaddr_un name;
  const socklen_t length = abstract_name("tutti-", token, name);
  while (connect(descriptor.value().get(), reinterpret_cast<sockaddr*>(&name), length) != 0) {
    if (errno == ECONNREFUSED) return Descriptor();
    if (errno != EAGAIN && errno != EINTR) return system_failure(errno, "shm: cannot reach another rank on this host");
    TUTTI_TRY(may_wait(patience, "a connection to a rank on this host"));
    poll(nullptr, 0, kFullMs);  // no descriptor tells when there is room
  }
  return descriptor;
}

Status send_with_descriptors(int socket, const void* message, size_t bytes, std::span<const int> descriptors, const Patience& patience) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMostDescriptors)] = {};
  iovec data{const_cast<void*>(message), bytes};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    assert(descriptors.size() <= kMostDescriptors);
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
  }
  for (;;) {
    const ssize_t sent = sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == static_cast<ssize_t>(bytes)) return {};
    if (sent >= 0) return fail(Code::SystemError, "shm: a short write on a unix socket");
    if (errno == ETOOMANYREFS) {  // the user has too many descriptors in flight: their readers have to take some first
      TUTTI_TRY(may_wait(patience, "passing descriptors"));
      poll(nullptr, 0, kFullMs);
      continue;
    }
    if (errno == EPIPE || errno == ECONNRESET) return hung_up();
    if (errno != EAGAIN && errno != EINTR) return system_failure(errno, "shm: passing descriptors to a rank on this host");
    TUTTI_TRY(wait_for(socket, POLLOUT, patience, "passing descriptors"));
  }
}

Progress try_receive(int socket, void* message, size_t bytes, size_t most, std::vector<Descriptor>& descriptors, Status& failure) {
  assert(most <= kMostDescriptors);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMostDescriptors)];
  iovec data{message, bytes};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = most > 0 ? CMSG_SPACE(sizeof(int) * most) : 0;  // the kernel drops descriptors that do not fit
  const auto failed = [&](Status status) {
    failure = std::move(status);
    return Progress::Failed;
  };
  // A message arrives in one piece: it is far shorter than a socket's buffer.
  const ssize_t got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT | MSG_WAITALL);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Progress::Again;
  if (got < 0 && errno == ECONNRESET) return failed(hung_up());
  if (got < 0) return failed(system_failure(errno, "shm: receiving descriptors"));
  bool all = true;
  for (const cmsghdr* part = CMSG_FIRSTHDR(&header); part; part = CMSG_NXTHDR(&header, const_cast<cmsghdr*>(part))) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int value;
      std::memcpy(&value, CMSG_DATA(part) + i * sizeof(int), sizeof value);
      all &= descriptors.emplace_back(value).open();
    }
  }
  if (most == 0 && (header.msg_flags & MSG_CTRUNC)) return failed(fail(Code::RemoteError, "shm: a message came with descriptors, and should have none"));
  if (!all || (header.msg_flags & MSG_CTRUNC))
    return failed(fail(Code::SystemError, "shm: no room for the descriptors of other ranks (raise the limit of open files with ulimit -n)"));
  if (got != static_cast<ssize_t>(bytes)) return failed(hung_up());
  return Progress::Done;
}

Status receive_with_descriptors(int socket, void* message, size_t bytes, size_t most, std::vector<Descriptor>& descriptors,
                                const Patience& patience) {
  for (;;) {
    TUTTI_TRY(wait_for(socket, POLLIN, patience, "a message from a rank on this host"));
    Status failure;
    switch (try_receive(socket, message, bytes, most, descriptors, failure)) {
      case Progress::Done: return {};
      case Progress::Failed: return failure;
      case Progress::Again: break;
    }
  }
}

}  // namespace tutti::shm

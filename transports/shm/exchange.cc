// exchange: see exchange.h.
#include "transports/shm/exchange.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "lib/topo/whereabouts.h"

namespace tutti::shm {
namespace {

constexpr size_t kBatch = 64;  // ranks per message, of two descriptors each; the kernel's limit is 253
constexpr int kSliceMs = 25;    // how soon `cancel` is seen
constexpr int kBacklogMs = 2;   // between tries while the collector's backlog is full

class Descriptor {
 public:
  explicit Descriptor(int value = -1) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor() {
    if (value_ >= 0) close(value_);
  }
  int get() const { return value_; }

 private:
  int value_;
};

struct Hello {
  Token admission;  // of the collector's arena
  int32_t rank;
};

struct Batch {
  uint32_t count;
  int32_t ranks[kBatch];
};

socklen_t abstract_name(const Token& token, sockaddr_un& name) {
  name = {};
  name.sun_family = AF_UNIX;
  // sun_path[0] stays 0: an abstract name, which leaves nothing in the file system. The name is derived from the token but
  // does not show it.
  const int length = std::snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "tutti-%016lx",
                                   static_cast<unsigned long>(token[0] * 0x9e3779b97f4a7c15u));
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + static_cast<size_t>(length));
}

// Fails when waiting for `what` has to end.
Status go_on(const Patience& patience, const char* what) {
  if (patience.cancel.load(std::memory_order_acquire)) return fail(Code::RemoteError, "shm: ", what, " was cancelled");
  if (patience.deadline.passed()) return fail(Code::RemoteError, "shm: ", what, " did not happen in time");
  return {};
}

Status wait_for(int descriptor, short events, const Patience& patience, const char* what) {
  for (;;) {
    pollfd entry{descriptor, events, 0};
    const int ready = poll(&entry, 1, patience.deadline.left_ms(kSliceMs));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return system_failure(concat("shm: poll for ", what), errno);
    TUTTI_TRY(go_on(patience, what));
  }
}

// Without blocking: the kernel would wait for room in the backlog as long as the collector lives.
Status connect_to(int socket, const Token& token, int rank, const Patience& patience) {
  sockaddr_un name;
  const socklen_t length = abstract_name(token, name);
  while (connect(socket, reinterpret_cast<sockaddr*>(&name), length) != 0) {
    if (errno != EAGAIN && errno != EINTR)
      return system_failure(concat("shm: cannot reach rank ", rank, " on this host"), errno);
    TUTTI_TRY(go_on(patience, "a connection to a rank on this host"));
    poll(nullptr, 0, kBacklogMs);  // there is nothing to wait on
  }
  return {};
}

template <typename Message>
Status send_with_descriptors(int socket, const Message& message, std::span<const int> descriptors, const Patience& patience) {
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int) * kBatch)] = {};
  iovec data{const_cast<Message*>(&message), sizeof message};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
  }
  for (;;) {
    const ssize_t sent = sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == static_cast<ssize_t>(sizeof message)) return {};
    if (sent >= 0) return fail(Code::SystemError, "shm: a short write on a unix socket");
    if (errno != EAGAIN && errno != EINTR) return system_failure("shm: passing descriptors to a rank on this host", errno);
    TUTTI_TRY(wait_for(socket, POLLOUT, patience, "passing descriptors"));
  }
}

// Reads one message and the descriptors that came with it.
template <typename Message>
Status receive_with_descriptors(int socket, Message& message, std::vector<Descriptor>& descriptors,
                               const Patience& patience) {
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int) * kBatch)];
  iovec data{&message, sizeof message};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  for (;;) {
    TUTTI_TRY(wait_for(socket, POLLIN, patience, "a message from a rank on this host"));
    const ssize_t got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got < 0) return system_failure("shm: receiving descriptors", errno);
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part; part = CMSG_NXTHDR(&header, part)) {
      if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
      const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; ++i) {
        int value;
        std::memcpy(&value, CMSG_DATA(part) + i * sizeof(int), sizeof value);
        descriptors.emplace_back(value);
      }
    }
    if (header.msg_flags & MSG_CTRUNC)
      return fail(Code::SystemError, "shm: descriptors were cut off; raise the limit of open files (ulimit -n)");
    if (got != static_cast<ssize_t>(sizeof message)) return fail(Code::RemoteError, "shm: a rank on this host hung up");
    return {};
  }
}

bool from_this_user(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == geteuid() || peer.uid == 0;
}

// What a rank hands out. A rank without a heap sends its arena's descriptor twice, so that there are always two.
struct Files {
  Descriptor arena, heap;
};

struct Member {
  int rank;
  Descriptor socket;
  Files files;
};

// Accepts every other rank of this host. What does not show the right token is hung up on.
Status collect(const Listener& listener, const Token& token, std::span<const int> expected, std::vector<Member>& members,
               const Patience& patience) {
  while (members.size() < expected.size()) {
    TUTTI_TRY(wait_for(listener.descriptor(), POLLIN, patience, "the arrival of all ranks of this host"));
    Descriptor socket(accept4(listener.descriptor(), nullptr, nullptr, SOCK_CLOEXEC));
    if (socket.get() < 0) {
      if (errno == EMFILE || errno == ENFILE)
        return system_failure("shm: too many open files for the ranks of this host; raise ulimit -n", errno);
      continue;
    }
    if (!from_this_user(socket.get())) continue;
    Hello hello{};
    std::vector<Descriptor> descriptors;
    // Members write their hello before they wait for anything, so a second is ample; a stranger cannot stall the others.
    if (!receive_with_descriptors(socket.get(), hello, descriptors, {Deadline::after_s(1), patience.cancel}).ok()) continue;
    if (hello.admission != token || descriptors.size() != 2) continue;
    const auto is_same = [&](const Member& member) { return member.rank == hello.rank; };
    if (std::find(expected.begin(), expected.end(), hello.rank) == expected.end()) continue;
    if (std::any_of(members.begin(), members.end(), is_same)) continue;
    members.push_back({hello.rank, std::move(socket), {std::move(descriptors[0]), std::move(descriptors[1])}});
  }
  return {};
}

// The descriptors of a rank, and which it is.
struct Handout {
  int rank;
  std::array<int, 2> descriptors;
};

// Hands `to` the files of every local rank that lives in another process.
Status distribute(const Member& to, std::span<const Contact> contacts, std::span<const Handout> all, const Patience& patience) {
  Batch batch{};
  std::vector<int> descriptors;
  const auto flush = [&] {
    Status status = send_with_descriptors(to.socket.get(), batch, descriptors, patience);
    descriptors.clear();
    batch.count = 0;
    return status;
  };
  for (const Handout& one : all) {
    if (same_process(contacts[one.rank], contacts[to.rank])) continue;
    batch.ranks[batch.count++] = one.rank;
    descriptors.insert(descriptors.end(), one.descriptors.begin(), one.descriptors.end());
    if (batch.count == kBatch) TUTTI_TRY(flush());
  }
  return flush();  // possibly empty, always shorter than a full batch: the end
}

Status attach(Neighbour& neighbour, const Contact& contact, const ArenaLayout& layout, int arena_descriptor, int heap_descriptor) {
  Result<std::unique_ptr<Arena>> arena = Arena::attach(layout, contact.token, arena_descriptor);
  if (!arena.ok()) return arena.status();
  neighbour.arena = std::move(arena.value());
  if (contact.heap_bytes > 0) neighbour.heap = HeapView::map(heap_descriptor, contact.heap_bytes);
  return {};
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(const Token& token) {
  const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return system_failure("shm: cannot open a unix socket", errno);
  std::unique_ptr<Listener> listener(new Listener(descriptor));
  sockaddr_un name;
  const socklen_t length = abstract_name(token, name);
  if (bind(descriptor, reinterpret_cast<sockaddr*>(&name), length) != 0 || listen(descriptor, 1024) != 0)
    return system_failure("shm: cannot listen on a unix socket", errno);
  return listener;
}

Listener::~Listener() { close(descriptor_); }

Contact contact_of_this_process() {
  Contact contact{};
  contact.host[0] = std::hash<std::string>()(boot_id());
  struct stat netns;
  contact.host[1] = stat("/proc/self/ns/net", &netns) == 0 ? netns.st_ino : 0;

  // Random once per process; the pid tells a forked child from its parent.
  static const std::array<uint64_t, 2> seed = [] {
    std::array<uint64_t, 2> value{};
    if (getrandom(value.data(), sizeof value, 0) != sizeof value) value = {static_cast<uint64_t>(now_ns()), 1};
    return value;
  }();
  contact.process[0] = seed[0];
  contact.process[1] = seed[1] ^ static_cast<uint64_t>(getpid());
  return contact;
}

bool same_process(const Contact& a, const Contact& b) { return std::equal(a.process, a.process + 2, b.process); }

Status exchange_arenas(int rank, std::span<const Contact> contacts, const ArenaLayout& layout, const Listener& listener,
                       Arena& mine, std::vector<Neighbour>& neighbours, const Patience& patience) {
  const Contact& self = contacts[rank];
  std::vector<int> local;  // all ranks of this host
  bool one_process = true;
  for (int peer = 0; peer < static_cast<int>(contacts.size()); ++peer) {
    if (!std::equal(self.host, self.host + 2, contacts[peer].host)) continue;
    local.push_back(peer);
    if (!same_process(self, contacts[peer])) {
      one_process = false;
      continue;
    }
    if (peer == rank) continue;
    Result<std::unique_ptr<Arena>> arena = Arena::attach_local(layout, contacts[peer].token);
    if (!arena.ok()) return arena.status();
    neighbours[peer].arena = std::move(arena.value());
  }
  if (one_process) return {};

  const std::array own{mine.descriptor(), self.heap_bytes > 0 ? heap_file().descriptor : mine.descriptor()};
  const int collector = local.front();
  if (rank == collector) {
    std::vector<Member> members;
    TUTTI_TRY(collect(listener, self.token, std::span(local).subspan(1), members, patience));
    std::vector<Handout> all{{rank, own}};
    for (const Member& member : members) all.push_back({member.rank, {member.files.arena.get(), member.files.heap.get()}});
    for (const Member& member : members) {
      TUTTI_TRY(distribute(member, contacts, all, patience));
      Neighbour& neighbour = neighbours[member.rank];
      if (neighbour.arena) continue;  // same process
      TUTTI_TRY(attach(neighbour, contacts[member.rank], layout, member.files.arena.get(), member.files.heap.get()));
    }
    return {};
  }

  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.get() < 0) return system_failure("shm: cannot open a unix socket", errno);
  TUTTI_TRY(connect_to(socket.get(), contacts[collector].token, collector, patience));
  if (!from_this_user(socket.get())) return fail(Code::RemoteError, "shm: rank ", collector, " runs as another user");
  TUTTI_TRY(send_with_descriptors(socket.get(), Hello{contacts[collector].token, rank}, own, patience));
  for (;;) {
    Batch batch{};
    std::vector<Descriptor> descriptors;
    TUTTI_TRY(receive_with_descriptors(socket.get(), batch, descriptors, patience));
    if (batch.count > kBatch || 2 * batch.count != descriptors.size())
      return fail(Code::InternalError, "shm: descriptors do not match their list");
    for (uint32_t i = 0; i < batch.count; ++i) {
      const int peer = batch.ranks[i];
      const bool expected = std::binary_search(local.begin(), local.end(), peer) && !same_process(self, contacts[peer]);
      if (!expected || neighbours[peer].arena) return fail(Code::InternalError, "shm: descriptors of a rank that was not waited for");
      TUTTI_TRY(attach(neighbours[peer], contacts[peer], layout, descriptors[2 * i].get(), descriptors[2 * i + 1].get()));
    }
    if (batch.count < kBatch) return {};
  }
}

}  // namespace tutti::shm

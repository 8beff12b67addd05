// shm_exchange: what a rank hears from another one of its host while they exchange their memory. The first byte is c where the rank
// collects what the others bring, else it is one that brings. The others send the input as messages, with descriptors.
//
// Nobody waits long: who collects finds all others waiting, and its time over; who brings is answered by a thread.
#include "transports/shm/exchange.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "tests/fuzz/target.h"

using namespace tutti;
using namespace tutti::fuzz;

namespace {

constexpr int kRanks = 3;
constexpr size_t kMostDescriptors = 8;

std::vector<shm::Contact> contacts_of(const std::array<shm::Token, kRanks>& tokens, const shm::ArenaLayout& layout) {
  std::vector<shm::Contact> contacts(kRanks);
  for (int rank = 0; rank < kRanks; ++rank) {
    contacts[static_cast<size_t>(rank)] = {};
    contacts[static_cast<size_t>(rank)].process[0] = static_cast<uint64_t>(rank);
    contacts[static_cast<size_t>(rank)].token = tokens[static_cast<size_t>(rank)];
    contacts[static_cast<size_t>(rank)].arena_bytes = layout.total;
  }
  return contacts;
}

// Sends one message: how many descriptors of which of the files, and whether the token comes first, how many bytes, the bytes.
void send_message(int socket, Input& input, const std::array<int, 2>& files, const shm::Token& token) {
  const uint8_t choice = input.byte();
  const size_t count = std::min<size_t>(choice & 15, kMostDescriptors);
  std::string bytes(input.take(input.two_bytes() % 1024u));
  if (choice & 32) bytes.insert(0, reinterpret_cast<const char*>(token.data()), sizeof token);
  if (bytes.empty()) return;
  alignas(cmsghdr) char control[CMSG_SPACE(kMostDescriptors * sizeof(int))] = {};
  iovec data{bytes.data(), bytes.size()};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  if (count > 0) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(count * sizeof(int));
    for (size_t i = 0; i < count; ++i) std::memcpy(CMSG_DATA(rights) + i * sizeof(int), &files[choice >> 4 & 1], sizeof(int));
  }
  (void)sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// One who connects to the collector as the library does, and then sends what the input says. The name is the listener's own.
void visit(const shm::Listener& listener, Input& input, const std::array<int, 2>& files, const shm::Token& token) {
  sockaddr_un name;
  socklen_t length = sizeof name;
  demand(getsockname(listener.descriptor(), reinterpret_cast<sockaddr*>(&name), &length) == 0, "a listener has a name");
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  demand(socket >= 0 && connect(socket, reinterpret_cast<sockaddr*>(&name), length) == 0, "a visitor can connect");
  send_message(socket, input, files, token);
  close(socket);
}

// The collector, as a rank that brings something sees it.
void answer(const shm::Listener& listener, Input input, const std::array<int, 2>& files, const shm::Token& token) {
  int socket = -1;
  while (socket < 0) socket = accept4(listener.descriptor(), nullptr, nullptr, SOCK_CLOEXEC);
  while (!input.empty()) send_message(socket, input, files, token);
  shutdown(socket, SHUT_WR);
  char heard[1024];
  while (read(socket, heard, sizeof heard) > 0) continue;
  close(socket);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const shm::ArenaLayout layout(kRanks, 4096);
  static const std::atomic<bool> cancel{false};
  static uint64_t runs = static_cast<uint64_t>(getpid()) << 32;
  ++runs;
  const std::array<shm::Token, kRanks> tokens{{{runs, 1}, {runs, 2}, {runs, 3}}};
  const std::vector<shm::Contact> contacts = contacts_of(tokens, layout);
  Input input(data, size);
  const int rank = input.byte() == 'c' ? 0 : 1;

  Result<std::unique_ptr<shm::Arena>> mine = shm::Arena::create(layout, tokens[static_cast<size_t>(rank)]);
  // What the last rank would bring, and a file that is no arena.
  Result<std::unique_ptr<shm::Arena>> theirs = shm::Arena::create(layout, tokens[2]);
  const int other = memfd_create("fuzz", MFD_CLOEXEC);
  Result<std::unique_ptr<shm::Listener>> listener = shm::Listener::open(tokens[0]);
  demand(mine.ok() && theirs.ok() && other >= 0 && listener.ok(), "there is shared memory");
  const std::array<int, 2> files{theirs.value()->descriptor(), other};

  std::vector<shm::Neighbour> neighbours(kRanks);
  if (rank == 0) {
    for (int visitor = 0; visitor < kRanks && !input.empty(); ++visitor) visit(*listener.value(), input, files, tokens[0]);
    (void)shm::exchange_arenas(rank, contacts, layout, *listener.value(), *mine.value(), neighbours, {Deadline::after_s(0), cancel});
  } else {
    std::thread collector([&] { answer(*listener.value(), input, files, tokens[0]); });
    (void)shm::exchange_arenas(rank, contacts, layout, *listener.value(), *mine.value(), neighbours, {Deadline::after_s(10), cancel});
    collector.join();
  }
  for (int peer = 0; peer < kRanks; ++peer)
    demand(peer != rank || !neighbours[static_cast<size_t>(peer)].arena, "a rank is not its own neighbour");
  close(other);
  return 0;
}

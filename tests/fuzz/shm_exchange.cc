// shm_exchange: messages that a rank gets from other ranks of its host while they exchange their memory. The rank is the collector if the
// first byte is c, otherwise a member. A thread plays the other ranks. It sends the input as messages with descriptors, and puts a right
// proof in front where the input says so.
//
// No side waits long: the collector gives up after 0.05 s, and the thread answers a member at once.
#include "transports/shm/exchange.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "tests/fuzz/target.h"
#include "transports/shm/messages.h"

using namespace tutti;
using namespace tutti::fuzz;

namespace {

constexpr int kRanks = 3;
const Key kSecret{7, 8, 9};
const std::atomic<bool> kNever{false};

using Files = std::array<int, 2>;

std::vector<shm::Contact> contacts_of(const std::array<shm::Token, kRanks>& tokens, const shm::ArenaLayout& layout) {
  std::vector<shm::Contact> contacts(kRanks);
  for (uint64_t rank = 0; rank < kRanks; ++rank) contacts[rank] = {1, {rank, 1}, tokens[rank], kSecret, layout.total, 0};
  return contacts;
}

// Sends the next message of the input: a byte with the number of descriptors, the choice of the file and of `front`; the length; the bytes.
void send_message(int socket, Input& input, const Files& files, std::string_view front) {
  const uint8_t choice = input.byte();
  std::string bytes(input.take(input.two_bytes() % 1024u));
  if (choice & 32) bytes.insert(0, front);
  if (bytes.empty()) return;
  const std::vector<int> descriptors(choice & 7, files[choice >> 4 & 1]);
  (void)shm::send_with_descriptors(socket, bytes.data(), bytes.size(), descriptors, {Deadline::after_s(1), kNever});
}

template <typename Message>
std::string_view bytes_of(const Message& message) {
  return {reinterpret_cast<const char*>(&message), sizeof message};
}

// Plays a member: connects to the collector and sends a hello and an admission.
void visit(const shm::Token& collector, Input input, const Files& files) {
  const shm::Patience patience{Deadline::after_s(1), kNever};
  while (!input.empty()) {
    const Result<Descriptor> socket = shm::connect_to(collector, patience);
    if (!socket.ok() || !socket.value().open()) return;  // the collector has ended
    const shm::Hello hello{input.byte() % 4, {}};
    send_message(socket.value().get(), input, files, bytes_of(hello));
    shm::Challenge challenge{};
    std::vector<Descriptor> none;
    if (!shm::receive_with_descriptors(socket.value().get(), &challenge, sizeof challenge, 0, none, patience).ok()) continue;
    const shm::Admission admission{shm::proof_of(kSecret, shm::kMember, hello, challenge.nonce)};
    send_message(socket.value().get(), input, files, bytes_of(admission));
  }
}

// Plays the collector for one member.
void answer(const Descriptor& listener, Input input, const Files& files) {
  const shm::Patience patience{Deadline::after_s(5), kNever};
  if (!shm::wait_for(listener.get(), POLLIN, patience, "a rank").ok()) return;
  const Descriptor socket(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  shm::Hello hello{};
  std::vector<Descriptor> none;
  if (!socket.open() || !shm::receive_with_descriptors(socket.get(), &hello, sizeof hello, 0, none, patience).ok()) return;
  const shm::Challenge challenge{{}, shm::proof_of(kSecret, shm::kCollector, hello, {})};
  while (!input.empty()) send_message(socket.get(), input, files, bytes_of(challenge));
  shutdown(socket.get(), SHUT_WR);
  char heard[1024];
  while (read(socket.get(), heard, sizeof heard) > 0) continue;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const shm::ArenaLayout layout(kRanks, 4096);
  static uint64_t runs = static_cast<uint64_t>(getpid()) << 32;
  ++runs;
  demand(prepare_crypto().ok(), "libsodium works");
  const std::array<shm::Token, kRanks> tokens{{{runs, 1}, {runs, 2}, {runs, 3}}};
  const std::vector<shm::Contact> contacts = contacts_of(tokens, layout);
  Input input(data, size);
  const int rank = input.byte() == 'c' ? 0 : 1;

  Result<std::unique_ptr<shm::Arena>> mine = shm::Arena::create(layout, tokens[static_cast<size_t>(rank)]);
  // The arena of the last rank, and a file that is not an arena.
  Result<std::unique_ptr<shm::Arena>> theirs = shm::Arena::create(layout, tokens[2]);
  const Descriptor other(memfd_create("fuzz", MFD_CLOEXEC));
  const Result<Descriptor> first = shm::listen_at(tokens[0]), last = shm::listen_at(tokens[2]);
  demand(mine.ok() && theirs.ok() && other.open() && first.ok() && last.ok(), "shared memory and sockets can be made");
  const Files files{theirs.value()->descriptor(), other.get()};

  std::vector<shm::Neighbour> neighbours(kRanks);
  const shm::Patience patience{Deadline::after_s(rank == 0 ? 0.05 : 10), kNever};
  std::thread others([&] { rank == 0 ? visit(tokens[0], input, files) : answer(first.value(), input, files); });
  (void)shm::exchange_arenas(rank, contacts, layout, first.value(), *mine.value(), neighbours, patience);
  if (rank == 0) shutdown(first.value().get(), SHUT_RDWR);
  others.join();
  for (int peer = 0; peer < kRanks; ++peer)
    demand(peer != rank || !neighbours[static_cast<size_t>(peer)].arena, "a rank is not its own neighbour");
  return 0;
}

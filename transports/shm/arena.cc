// arena: see arena.h.
#include "transports/shm/arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <mutex>

namespace tutti::shm {
namespace {

constexpr uint64_t kMagic = 0x31616e6572615454;  // "TTarena1"

size_t page_aligned(size_t bytes) { return (bytes + 4095) / 4096 * 4096; }

// The arenas whose owners live in this process, so that ranks of one process share one mapping and it outlives its owner
// while a peer still reads from it. The only mutable state outside objects in this room; guarded by its mutex.
struct Listed {
  std::byte* base;
  int users;
};
struct LocalArenas {
  std::mutex mutex;
  std::map<Token, Listed> by_token;
};
LocalArenas& local_arenas() {
  static LocalArenas* arenas = new LocalArenas;  // never destroyed: communicators may outlive static destructors
  return *arenas;
}

}  // namespace

ArenaLayout::ArenaLayout(uint32_t ranks_in, size_t largest_message) : ranks(ranks_in) {
  const size_t lanes = static_cast<size_t>(kLanes) * ranks;
  small_count = static_cast<uint32_t>(lanes * kCells + 256);
  // Of any 64 messages in a row, those in large slots have their 16th before read: so not more than every other of these.
  large_count = static_cast<uint32_t>(lanes * 2 * kLargeWindow + 256);
  large_slot_bytes = page_aligned(largest_message);
  words = sizeof(ArenaHeader);
  acks = page_aligned(words + ranks * sizeof(PeerWords));
  offers = page_aligned(acks + lanes * sizeof(Acks));
  cells = page_aligned(offers + lanes * sizeof(Offers));
  small_slots = page_aligned(cells + lanes * kCells * sizeof(Cell));
  large_slots = small_slots + small_count * kSmallSlotBytes;
  total = large_slots + large_count * large_slot_bytes;
}

Result<std::unique_ptr<Arena>> Arena::create(const ArenaLayout& layout, const Token& token) {
  Result<Descriptor> file = make_sealed_file("tutti-arena", layout.total);
  if (!file.ok()) return fail(file.status().code(), "shm: ", file.status().text());
  std::unique_ptr<Arena> arena(new Arena(layout));
  arena->descriptor_ = std::move(file.value());
  TUTTI_TRY(arena->map(arena->descriptor()));
  arena->header().magic = kMagic;
  arena->header().token = token;
  LocalArenas& arenas = local_arenas();
  std::lock_guard lock(arenas.mutex);
  arenas.by_token.emplace(token, Listed{arena->base_, 1});
  arena->listed_ = true;
  return arena;
}

Result<std::unique_ptr<Arena>> Arena::attach_local(const ArenaLayout& layout, const Token& token) {
  LocalArenas& arenas = local_arenas();
  std::lock_guard lock(arenas.mutex);
  const auto found = arenas.by_token.find(token);
  if (found == arenas.by_token.end()) return fail(Code::RemoteError, "shm: the peer left during start-up");
  std::unique_ptr<Arena> arena(new Arena(layout));
  arena->base_ = found->second.base;
  arena->listed_ = true;
  ++found->second.users;
  return arena;
}

Result<std::unique_ptr<Arena>> Arena::attach(const ArenaLayout& layout, const Token& token, int descriptor) {
  if (!is_sealed(descriptor, layout.total))
    return fail(Code::InternalError, "shm: a peer's memory is not sealed, or is not ", layout.total, " bytes long");
  std::unique_ptr<Arena> arena(new Arena(layout));
  TUTTI_TRY(arena->map(descriptor));
  // Plain looks: the owner wrote both before it sent the descriptor.
  if (arena->header().magic != kMagic || arena->header().token != token)
    return fail(Code::InternalError, "shm: a descriptor arrived that is not the peer's memory");
  return arena;
}

Status Arena::map(int descriptor) {
  void* const base = mmap(nullptr, layout_.total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
  if (base == MAP_FAILED) {
    const int error = errno;
    return system_failure(error, "shm: cannot map ", layout_.total, " bytes of shared memory",
                          error == ENOMEM ? "; the address space is limited (ulimit -v)" : "");
  }
  base_ = static_cast<std::byte*>(base);
  return {};
}

Arena::~Arena() {
  if (listed_) {
    LocalArenas& arenas = local_arenas();
    std::lock_guard lock(arenas.mutex);
    const auto found = arenas.by_token.find(header().token);
    if (--found->second.users > 0) return;
    arenas.by_token.erase(found);
  }
  if (base_) munmap(base_, layout_.total);
}

}  // namespace tutti::shm

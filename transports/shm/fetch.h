// fetch: another process's memory, copied by the kernel (process_vm_readv).
//
// One copy where a buffer between the two takes two; but the kernel looks up every page of the other's memory: 0.1 to 0.22 us on the
// Intel machine of the README's figures. Where that takes longer than the copy it spares, it is no gain.
#pragma once
#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "lib/transport/transport.h"

namespace tutti::shm {

class PeerMemory {
 public:
  // Of the process with this number, if the kernel lets this one read it, and if it has the token at the address `witness`: numbers
  // may be those of another namespace. Else null.
  static std::unique_ptr<PeerMemory> open(pid_t process, uint64_t witness, const std::array<uint64_t, 2>& token);
  ~PeerMemory();
  PeerMemory(const PeerMemory&) = delete;
  PeerMemory& operator=(const PeerMemory&) = delete;

  struct Piece {
    const std::byte* from;
    std::byte* to;
    size_t bytes;
  };
  // kMostPieces at most. 0, or an errno: ESRCH if that process is no more.
  static constexpr size_t kMostPieces = kMostBegun;
  int fetch(std::span<const Piece> pieces) const;

 private:
  PeerMemory(pid_t process, int descriptor) : process_(process), descriptor_(descriptor) {}
  const pid_t process_;
  const int descriptor_;  // of the process: its number may come again
};

// Whether peers can fetch this process's memory at an address: not where a device's is mapped.
bool can_be_fetched(const std::byte* at);

// Whether it is worth it on this machine: what a page costs over its copy is measured, once in a process.
bool fetches_fast();

}  // namespace tutti::shm

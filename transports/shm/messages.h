// messages: the messages by which ranks of one host exchange their memory; see exchange.h. Plain bytes, each sent in one piece.
#pragma once
#include <string_view>

#include "lib/base/crypto.h"
#include "transports/shm/unix_socket.h"

namespace tutti::shm {

inline constexpr size_t kBatch = kMostDescriptors / 2;  // ranks per message; each has two descriptors

struct Hello {
  int32_t rank;
  Nonce nonce;
};
struct Challenge {
  Nonce nonce;
  Key proof;
};
struct Admission {  // with two descriptors
  Key proof;
};
struct Batch {  // with two descriptors for each rank; the last batch is the one that is not full
  uint32_t count;
  int32_t ranks[kBatch];
};

// Proves that the sender knows the collector's secret. `side` is the sender's.
inline constexpr std::string_view kCollector = "shm collector", kMember = "shm member";
inline Key proof_of(const Key& collectors_secret, std::string_view side, const Hello& hello, const Nonce& nonce) {
  return derive_key(collectors_secret, side, concat(hello.rank, "|", view_of(hello.nonce), view_of(nonce)));
}

}  // namespace tutti::shm

// crypto: keys, proofs of a key, and sealed messages; all of it libsodium's (BLAKE2b, ChaCha20-Poly1305, Curve25519, Argon2id).
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/status.h"

namespace tutti {

using Key = std::array<uint8_t, 32>;
using Nonce = std::array<uint8_t, 32>;

inline constexpr size_t kSealBytes = 16;  // by which a sealed message is longer

Status prepare_crypto();  // before anything below; any thread, any number of times

Nonce random_nonce();
// A key for one purpose. The result says nothing about `secret`.
Key derive_key(const Key& secret, std::string_view purpose, std::string_view salt = {});
Key hash_text(std::string_view purpose, std::string_view text);  // without a key
// A key from a text that a person made up: slow on purpose, so that guesses are slow, too. Fails if there is no memory for it.
Result<Key> stretch_text(std::string_view purpose, std::string_view text);

// Encrypts a message so that nobody can read or change it who does not know the key. `header` is not encrypted, but cannot be changed
// either. `number` must not be used twice with a key.
std::string seal(const Key& key, uint64_t number, std::string_view header, std::string_view message);
// The message again; nothing if it was not sealed with this key, number and header.
std::optional<std::string> unseal(const Key& key, uint64_t number, std::string_view header, std::string_view sealed);

// For two who know each other's public half and want a key that nobody else knows. A pair serves one exchange.
struct KeyPair {
  Key secret, open;
};
KeyPair random_key_pair();
// The same for both. Fails on a public half that is none.
Result<Key> shared_key(const KeyPair& mine, const Key& theirs);

// In constant time.
bool equal(const Key& a, const Key& b);

template <size_t N>
std::string_view view_of(const std::array<uint8_t, N>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), N};
}

}  // namespace tutti

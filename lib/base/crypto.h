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

inline constexpr size_t kSealBytes = 16;  // a sealed message is longer by this

Status prepare_crypto();  // call it before anything below; any thread, any number of times

Nonce random_nonce();
// A key for one purpose. The result says nothing about `secret`.
Key derive_key(const Key& secret, std::string_view purpose, std::string_view salt = {});
Key hash_text(std::string_view purpose, std::string_view text);  // without a key
// A key from a text that a person made up. It is slow on purpose, so that guessing is slow. Errors: SystemError (no memory).
Result<Key> stretch_text(std::string_view purpose, std::string_view text);

// Encrypts a message: nobody can read or change it without the key. `header` is not encrypted, but is protected against change.
// `number` must not be used twice with one key.
std::string seal(const Key& key, uint64_t number, std::string_view header, std::string_view message);
// Decrypts a sealed message. Returns nothing if it was not sealed with this key, number and header.
std::optional<std::string> unseal(const Key& key, uint64_t number, std::string_view header, std::string_view sealed);

// Two sides that know each other's public half (`open`) agree on a key that nobody else knows. A pair is good for one exchange.
struct KeyPair {
  Key secret, open;
};
KeyPair random_key_pair();
// Both sides get the same key. Errors: RemoteError (`theirs` is not a public half).
Result<Key> shared_key(const KeyPair& mine, const Key& theirs);

// Takes the same time whatever the bytes are.
bool equal(const Key& a, const Key& b);

template <size_t N>
std::string_view view_of(const std::array<uint8_t, N>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), N};
}

}  // namespace tutti

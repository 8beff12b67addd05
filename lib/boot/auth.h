// auth: the cryptography of the control plane; everything is libsodium's keyed hash (BLAKE2b).
//
// Both sides of a connection know a key made from the unique id's secret. Each sends a nonce and proves the key over both
// nonces; from key and nonces come two session keys, one per direction, and every later message carries a tag under the
// key of its direction that also covers its number, so that nothing can be injected, changed, repeated or turned around.
// Nothing is encrypted: the control plane carries addresses and names, no secret.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "lib/base/status.h"

namespace tutti {

using Key = std::array<uint8_t, 32>;
using Nonce = std::array<uint8_t, 32>;
using Tag = std::array<uint8_t, 16>;

Status prepare_crypto();  // before anything below; any thread, any number of times

Nonce random_nonce();
// A key for one purpose. The result says nothing about `secret`.
Key derive_key(const Key& secret, std::string_view purpose, std::string_view salt = {});
Key hash_text(std::string_view purpose, std::string_view text);  // without a key
Tag tag_message(const Key& key, uint64_t number, std::string_view header, std::string_view payload);

// In constant time.
bool equal(const Key& a, const Key& b);
bool equal(const Tag& a, const Tag& b);

template <size_t N>
std::string_view view_of(const std::array<uint8_t, N>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), N};
}

}  // namespace tutti

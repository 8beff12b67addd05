// auth: see auth.h.
#include "lib/boot/auth.h"

#include <sodium.h>

namespace tutti {
namespace {

void add(crypto_generichash_state* state, std::string_view bytes) {
  crypto_generichash_update(state, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

// A field with its length, so that no two lists of fields read the same.
void add_field(crypto_generichash_state* state, std::string_view bytes) {
  const uint64_t length = bytes.size();
  std::array<uint8_t, 8> prefix;
  for (int i = 0; i < 8; ++i) prefix[static_cast<size_t>(i)] = static_cast<uint8_t>(length >> (8 * i));
  add(state, view_of(prefix));
  add(state, bytes);
}

}  // namespace

Status prepare_crypto() {
  return sodium_init() < 0 ? fail(Code::SystemError, "libsodium cannot be initialized: no source of random numbers")
                           : Status();
}

Nonce random_nonce() {
  Nonce nonce;
  randombytes_buf(nonce.data(), nonce.size());
  return nonce;
}

Key derive_key(const Key& secret, std::string_view purpose, std::string_view salt) {
  Key key;
  crypto_generichash_state state;
  crypto_generichash_init(&state, secret.data(), secret.size(), key.size());
  add_field(&state, purpose);
  add_field(&state, salt);
  crypto_generichash_final(&state, key.data(), key.size());
  return key;
}

Key hash_text(std::string_view purpose, std::string_view text) {
  Key key;
  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, key.size());
  add_field(&state, purpose);
  add_field(&state, text);
  crypto_generichash_final(&state, key.data(), key.size());
  return key;
}

Tag tag_message(const Key& key, uint64_t number, std::string_view header, std::string_view payload) {
  Tag tag;
  std::array<uint8_t, 8> prefix;
  for (int i = 0; i < 8; ++i) prefix[static_cast<size_t>(i)] = static_cast<uint8_t>(number >> (8 * i));
  crypto_generichash_state state;
  crypto_generichash_init(&state, key.data(), key.size(), tag.size());
  add(&state, view_of(prefix));
  add(&state, header);
  add(&state, payload);
  crypto_generichash_final(&state, tag.data(), tag.size());
  return tag;
}

bool equal(const Key& a, const Key& b) {
  return sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}
bool equal(const Tag& a, const Tag& b) {
  return sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace tutti

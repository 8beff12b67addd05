// crypto: see crypto.h.
#include "lib/base/crypto.h"

#include <sodium.h>

namespace tutti {
namespace {

static_assert(kSealBytes == crypto_aead_chacha20poly1305_ietf_ABYTES);
static_assert(sizeof(Key) == crypto_aead_chacha20poly1305_ietf_KEYBYTES && sizeof(Key) == crypto_scalarmult_BYTES);

// Each key takes some hundredths of a second: for a rank that joins, and for every guess of an attacker.
constexpr unsigned long long kStretchPasses = 3;
constexpr size_t kStretchBytes = 16 << 20;

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

void add(crypto_generichash_state* state, std::string_view bytes) {
  crypto_generichash_update(state, bytes_of(bytes), bytes.size());
}

// Adds a field and its length, so that no two lists of fields give the same bytes.
void add_field(crypto_generichash_state* state, std::string_view bytes) {
  const uint64_t length = bytes.size();
  std::array<uint8_t, 8> prefix;
  for (int i = 0; i < 8; ++i) prefix[static_cast<size_t>(i)] = static_cast<uint8_t>(length >> (8 * i));
  add(state, view_of(prefix));
  add(state, bytes);
}

std::array<unsigned char, crypto_aead_chacha20poly1305_ietf_NPUBBYTES> nonce_of(uint64_t number) {
  std::array<unsigned char, crypto_aead_chacha20poly1305_ietf_NPUBBYTES> nonce{};
  for (size_t i = 0; i < 8; ++i) nonce[i] = static_cast<unsigned char>(number >> (8 * i));
  return nonce;
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

Result<Key> stretch_text(std::string_view purpose, std::string_view text) {
  // All ranks have to find the same key, and they have nothing else in common: so the salt depends on the purpose only.
  const Key salt = hash_text("tutti stretch", purpose);
  static_assert(sizeof salt >= crypto_pwhash_SALTBYTES);
  Key key;
  if (crypto_pwhash(key.data(), key.size(), text.data(), text.size(), salt.data(), kStretchPasses, kStretchBytes,
                    crypto_pwhash_ALG_ARGON2ID13) != 0)
    return fail(Code::SystemError, "there is no memory for making a key from a secret (", kStretchBytes >> 20, " MiB)");
  return key;
}

std::string seal(const Key& key, uint64_t number, std::string_view header, std::string_view message) {
  std::string sealed(message.size() + kSealBytes, '\0');
  crypto_aead_chacha20poly1305_ietf_encrypt(reinterpret_cast<unsigned char*>(sealed.data()), nullptr, bytes_of(message), message.size(),
                                            bytes_of(header), header.size(), nullptr, nonce_of(number).data(), key.data());
  return sealed;
}

std::optional<std::string> unseal(const Key& key, uint64_t number, std::string_view header, std::string_view sealed) {
  if (sealed.size() < kSealBytes) return std::nullopt;
  std::string message(sealed.size() - kSealBytes, '\0');
  if (crypto_aead_chacha20poly1305_ietf_decrypt(reinterpret_cast<unsigned char*>(message.data()), nullptr, nullptr, bytes_of(sealed),
                                                sealed.size(), bytes_of(header), header.size(), nonce_of(number).data(),
                                                key.data()) != 0)
    return std::nullopt;
  return message;
}

KeyPair random_key_pair() {
  KeyPair pair;
  pair.secret = random_nonce();
  crypto_scalarmult_base(pair.open.data(), pair.secret.data());
  return pair;
}

Result<Key> shared_key(const KeyPair& mine, const Key& theirs) {
  Key point;
  if (crypto_scalarmult(point.data(), mine.secret.data(), theirs.data()) != 0)
    return fail(Code::RemoteError, "a public key is invalid");
  // The key depends on both public halves, in an order that both sides know. So it belongs to this pair alone.
  const bool first = mine.open < theirs;
  return derive_key(point, "tutti shared", concat(view_of(first ? mine.open : theirs), view_of(first ? theirs : mine.open)));
}

bool equal(const Key& a, const Key& b) {
  return sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace tutti

// unique_id: see unique_id.h. Numbers are little-endian.
//
//   0 magic   4 version   5 flags   6 family   8 port   12 scope   16 ip   32 secret   64 zero   96 checksum   128
#include "lib/boot/unique_id.h"

#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "lib/base/log.h"

namespace tutti {
namespace {

constexpr char kMagic[4] = {'T', 'u', 't', 't'};
constexpr uint8_t kVersion = 1;
constexpr uint8_t kWellKnown = 1;
constexpr size_t kChecksumAt = 96;

Key checksum(const UniqueId& id) {
  return hash_text("tutti unique id", std::string_view(id.data(), kChecksumAt));
}

void put(UniqueId* id, size_t at, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) (*id)[at + static_cast<size_t>(i)] = static_cast<char>(value >> (8 * i));
}

uint32_t get(const UniqueId& id, size_t at, int bytes) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; ++i)
    value |= static_cast<uint32_t>(static_cast<uint8_t>(id[at + static_cast<size_t>(i)])) << (8 * i);
  return value;
}

// A secret that a person made up could be guessed from a list of words, so making the key is slow. It need not be slow for 128 random
// bits, as tutti-run makes them, or if there is no secret.
Result<Key> key_of_secret(const std::string& secret, bool stretch) {
  constexpr size_t kRandomDigits = 32;
  const bool random = secret.size() >= kRandomDigits && secret.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  if (random || !stretch) return hash_text("tutti comm id", secret);
  // Kept, because a process may make the same id for each of its ranks.
  static std::mutex mutex;
  static auto* const known = new std::map<std::string, Key>;
  std::lock_guard lock(mutex);
  if (const auto found = known->find(secret); found != known->end()) return found->second;
  Result<Key> key = stretch_text("tutti comm id", secret);
  if (key.ok()) known->emplace(secret, key.value());
  return key;
}

}  // namespace

UniqueId encode_id(const IdContent& content) {
  UniqueId id{};
  std::memcpy(id.data(), kMagic, sizeof kMagic);
  put(&id, 4, kVersion, 1);
  put(&id, 5, content.well_known ? kWellKnown : 0, 1);
  put(&id, 6, content.address.family, 1);
  put(&id, 8, content.address.port, 2);
  put(&id, 12, content.address.scope, 4);
  std::memcpy(id.data() + 16, content.address.ip.data(), 16);
  std::memcpy(id.data() + 32, content.secret.data(), 32);
  const Key sum = checksum(id);
  std::memcpy(id.data() + kChecksumAt, sum.data(), sum.size());
  return id;
}

Result<IdContent> decode_id(const UniqueId& id) {
  TUTTI_TRY(prepare_crypto());
  Key sum;
  std::memcpy(sum.data(), id.data() + kChecksumAt, sum.size());
  if (std::memcmp(id.data(), kMagic, sizeof kMagic) != 0 || !equal(sum, checksum(id)))
    return fail(Code::InvalidArgument,
                "the unique id is damaged or was never made: pass all 128 bytes of GetUniqueId on unchanged");
  if (get(id, 4, 1) != kVersion)
    return fail(Code::InvalidArgument, "the unique id was made by another version of Tutti (id format ", get(id, 4, 1),
                ", this one reads ", int{kVersion}, ")");
  IdContent content;
  content.well_known = (get(id, 5, 1) & kWellKnown) != 0;
  content.address.family = static_cast<uint8_t>(get(id, 6, 1));
  content.address.port = static_cast<uint16_t>(get(id, 8, 2));
  content.address.scope = get(id, 12, 4);
  std::memcpy(content.address.ip.data(), id.data() + 16, 16);
  std::memcpy(content.secret.data(), id.data() + 32, 32);
  const bool unix = content.address.family == Address::kUnix, ip = content.address.family == 4 || content.address.family == 6;
  if (!unix && (!ip || content.address.port == 0))
    return fail(Code::InvalidArgument, "the unique id is damaged: it has no address");
  return content;
}

UniqueId without_secret(const UniqueId& id, Key* secret) {
  IdContent content = decode_id(id).value();
  *secret = std::exchange(content.secret, Key{});
  return encode_id(content);
}

Result<UniqueId> with_secret(const UniqueId& open, const Key& secret) {
  Result<IdContent> content = decode_id(open);
  if (!content.ok()) return content.status();
  content.value().secret = secret;
  return encode_id(content.value());
}

Result<IdContent> id_from_text(const std::string& text, const std::string& origin) {
  TUTTI_TRY(prepare_crypto());
  const size_t hash = text.find('#');
  const std::string place = text.substr(0, hash);
  // What follows the # stays out of every message.
  const auto bad = [&](const std::string& why) {
    return fail(Code::InvalidArgument, "TUTTI_COMM_ID=", place, " (", origin, "): ", why,
                "; expected host:port#secret, or unix:name#secret for ranks of one host");
  };
  if (hash != std::string::npos && hash + 1 == text.size()) return bad("the secret after # is empty");
  Result<Address> address = parse_address(place);
  if (!address.ok()) return bad(address.status().text());
  if (hash == std::string::npos)
    log_warn(-1, "TUTTI_COMM_ID=", place, " has no #secret: it protects against accident only, not against strangers");
  IdContent content;
  content.address = address.value();
  content.well_known = true;
  Result<Key> secret = key_of_secret(hash == std::string::npos ? text : text.substr(hash + 1), hash != std::string::npos);
  if (!secret.ok()) return secret.status();
  content.secret = secret.value();
  return content;
}

}  // namespace tutti

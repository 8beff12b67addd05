// address: see address.h.
#include "transports/ucx/address.h"

#include <concepts>
#include <cstring>
#include <functional>

#include "lib/base/process.h"
#include "lib/topo/whereabouts.h"

namespace tutti::ucx {
namespace {

constexpr uint64_t kMagic = 0x7563782d74757401;  // the last byte counts the formats

// Types of which any bytes are a valid value.
template <typename Number>
concept Plain = std::unsigned_integral<Number> && !std::same_as<Number, bool>;

class Writer {
 public:
  template <Plain Number>
  void number(Number value) { text.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void flag(bool value) { number(static_cast<uint8_t>(value)); }
  void bytes(const std::string& value) {
    number(static_cast<uint32_t>(value.size()));
    text += value;
  }
  std::string text;
};

class Reader {
 public:
  explicit Reader(const std::string& text) : text_(text) {}
  template <Plain Number>
  void number(Number& value) {
    if (!has(sizeof value)) return;
    std::memcpy(&value, text_.data() + at_, sizeof value);
    at_ += sizeof value;
  }
  void flag(bool& value) {
    uint8_t byte = 0;
    number(byte);
    good_ = good_ && byte <= 1;
    value = byte == 1;
  }
  void bytes(std::string& value) {
    uint32_t length = 0;
    number(length);
    if (!has(length)) return;
    value = text_.substr(at_, length);
    at_ += length;
  }
  bool whole() const { return good_ && at_ == text_.size(); }

 private:
  bool has(size_t length) { return good_ = good_ && length <= text_.size() - at_; }
  const std::string& text_;
  size_t at_ = 0;
  bool good_ = true;
};

}  // namespace

Contact contact_of_this_process() {
  Contact contact;
  contact.at.host = host_number();
  contact.process = process_token();
  return contact;
}

std::string to_bytes(const Contact& contact) {
  Writer to;
  to.number(kMagic);
  to.number(contact.at.host);
  to.flag(contact.at.named);
  for (const uint64_t part : contact.process) to.number(part);
  to.number(contact.token);
  to.number(static_cast<uint32_t>(contact.at.nics.size()));
  for (size_t i = 0; i < contact.at.nics.size(); ++i) {
    const Nic& nic = contact.at.nics[i];
    to.bytes(nic.name);
    to.bytes(nic.network);
    to.bytes(nic.ip);
    to.flag(nic.loopback);
    to.number(nic.bytes_per_s);
    to.bytes(contact.workers[i]);
  }
  return to.text;
}

Result<Contact> to_contact(const std::string& bytes) {
  Contact contact;
  Reader from(bytes);
  uint64_t magic = 0;
  uint32_t nics = 0;
  from.number(magic);
  from.number(contact.at.host);
  from.flag(contact.at.named);
  for (uint64_t& part : contact.process) from.number(part);
  from.number(contact.token);
  from.number(nics);
  if (magic != kMagic || nics == 0 || nics > kMostRails) return fail(Code::InvalidUsage, "is of another version of Tutti");
  contact.at.nics.resize(nics);
  contact.workers.resize(nics);
  for (uint32_t i = 0; i < nics; ++i) {
    Nic& nic = contact.at.nics[i];
    from.bytes(nic.name);
    from.bytes(nic.network);
    from.bytes(nic.ip);
    from.flag(nic.loopback);
    from.number(nic.bytes_per_s);
    from.bytes(contact.workers[i]);
  }
  if (!from.whole()) return fail(Code::InvalidUsage, "is damaged");
  return contact;
}

}  // namespace tutti::ucx

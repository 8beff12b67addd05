// address: see address.h.
#include "transports/ucx/address.h"

namespace tutti::ucx {
namespace {

constexpr uint64_t kMagic = 0x7563782d74757402;  // the last byte counts the formats

}  // namespace

std::string to_bytes(const Contact& contact) {
  ByteWriter to;
  to.number(kMagic);
  write(to, contact.at);
  for (const uint64_t part : contact.process) to.number(part);
  to.number(contact.token);
  for (const std::string& worker : contact.workers) to.text(worker);
  return to.bytes();
}

Result<Contact> to_contact(const std::string& bytes) {
  Contact contact;
  ByteReader from(bytes);
  uint64_t magic = 0;
  from.number(magic);
  if (magic != kMagic) return fail(Code::InvalidUsage, "is of another version of Tutti");
  read(from, contact.at);
  for (uint64_t& part : contact.process) from.number(part);
  from.number(contact.token);
  contact.workers.resize(contact.at.nics.size());
  for (std::string& worker : contact.workers) from.text(worker);
  if (!from.whole()) return fail(Code::InvalidUsage, "is damaged");
  return contact;
}

}  // namespace tutti::ucx

// address: what a rank tells the others about itself, and how it is written down.
#pragma once
#include "lib/base/process.h"
#include "lib/topo/rails.h"

namespace tutti::ucx {

struct Contact {
  RankNics at;
  ProcessToken process{};
  uint32_t token = 0;                 // what messages to this rank have to show
  std::vector<std::string> workers;   // UCX's address of each NIC
};

std::string to_bytes(const Contact& contact);
// Fails if `bytes` is of no contact.
Result<Contact> to_contact(const std::string& bytes);

}  // namespace tutti::ucx

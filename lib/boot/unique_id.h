// unique_id: the 128 bytes of an id: magic, version, flags, address of the rendezvous, secret, checksum over all of it.
//
// The checksum guards against accident (a byte lost on the way), the secret against strangers.
#pragma once
#include <string>

#include "lib/base/status.h"
#include "lib/boot/address.h"
#include "lib/base/crypto.h"
#include "lib/boot/boot.h"

namespace tutti {

struct IdContent {
  Address address;
  bool well_known = false;  // made from TUTTI_COMM_ID: rank 0 opens the rendezvous, the others try until it is there
  Key secret{};
};

UniqueId encode_id(const IdContent& content);
// Fails with InvalidArgument if any bit has changed.
Result<IdContent> decode_id(const UniqueId& id);

// The content of TUTTI_COMM_ID=host:port[#secret]. `origin` is for the message.
Result<IdContent> id_from_text(const std::string& text, const std::string& origin);

// The keys of the servers of an id: of its rendezvous, and of each rank. A rank draws a salt, so that an id can be used again.
inline Key rendezvous_key(const Key& secret) {
  return derive_key(secret, "tutti rendezvous");
}
inline Key node_key(const Key& secret, const Nonce& salt) {
  return derive_key(secret, "tutti node", view_of(salt));
}

}  // namespace tutti

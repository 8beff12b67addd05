// comm_id: values of TUTTI_COMM_ID. Skips host names that are not addresses: no input may ask a name server.
#include <arpa/inet.h>

#include "lib/boot/unique_id.h"
#include "tests/fuzz/target.h"

using namespace tutti;
using namespace tutti::fuzz;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text = string_of(data, size);
  if (!text.starts_with("unix:")) {
    const Result<HostPort> parts = parse_host_port(text.substr(0, text.find('#')));
    if (!parts.ok()) {
      demand(!id_from_text(text, "test").ok(), "an id has a host and a port");
      return 0;
    }
    demand(parts.value().port != 0 && !parts.value().host.empty(), "a host is not empty and a port is not 0");
    in6_addr ip;
    const char* const host = parts.value().host.c_str();
    if (inet_pton(AF_INET, host, &ip) != 1 && inet_pton(AF_INET6, host, &ip) != 1) return 0;
  }
  const Result<IdContent> content = id_from_text(text, "test");
  if (!content.ok()) return 0;
  const Result<Address> again = parse_address(to_text(content.value().address));
  if (content.value().address.family != Address::kUnix)  // a unix name is kept as a digest
    demand(again.ok() && again.value() == content.value().address, "an address that is written and read is the same");
  const Result<IdContent> decoded = decode_id(encode_id(content.value()));
  demand(decoded.ok() && decoded.value().address == content.value().address && decoded.value().secret == content.value().secret,
         "an id that is encoded and decoded is the same");
  return 0;
}

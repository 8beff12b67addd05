// ports: the TCP ports that a listener of this library may have, as TUTTI_PORTS names them: "first-last", one port, or "" for any that
// is free.
#pragma once
#include <cstdint>
#include <string>

#include "lib/base/status.h"

namespace tutti {

struct Ports {
  uint16_t first = 0, last = 0;  // 0: any

  bool any() const { return first == 0; }
  uint32_t count() const { return any() ? 1 : static_cast<uint32_t>(last) - first + 1; }
  // The one to be tried after `tried` others: processes begin at different ones. 0 stands for any.
  uint16_t at(uint32_t tried) const;
};

Result<Ports> parse_ports(const std::string& text);

}  // namespace tutti

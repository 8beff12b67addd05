// ports: the TCP ports at which this library may listen.
// TUTTI_PORTS names them: "first-last", one port, or "" for any free port.
#pragma once
#include <cstdint>
#include <string>

#include "lib/base/status.h"

namespace tutti {

struct Ports {
  uint16_t first = 0, last = 0;  // 0: any

  bool any() const { return first == 0; }
  uint32_t count() const { return any() ? 1 : static_cast<uint32_t>(last) - first + 1; }
  // The port to try after `tried` others. Different processes begin at different ports. 0 stands for any port.
  uint16_t at(uint32_t tried) const;
};

Result<Ports> parse_ports(const std::string& text);

}  // namespace tutti

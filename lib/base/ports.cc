// ports: see ports.h.
#include "lib/base/ports.h"

#include <unistd.h>

#include <cstdlib>
#include <optional>

namespace tutti {
namespace {

std::optional<uint16_t> port_of(const std::string& text) {
  if (text.empty() || text.size() > 5 || text.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  const long number = std::strtol(text.c_str(), nullptr, 10);
  return number >= 1 && number <= 65535 ? std::optional(static_cast<uint16_t>(number)) : std::nullopt;
}

}  // namespace

uint16_t Ports::at(uint32_t tried) const {
  if (any()) return 0;
  constexpr uint32_t kStride = 40503;  // processes with neighbouring pids begin far apart
  const uint32_t start = static_cast<uint32_t>(getpid()) * kStride % count();
  return static_cast<uint16_t>(first + (start + tried) % count());
}

Result<Ports> parse_ports(const std::string& text) {
  if (text.empty()) return Ports{};
  const size_t dash = text.find('-');
  const std::optional<uint16_t> first = port_of(text.substr(0, dash));
  const std::optional<uint16_t> last = dash == std::string::npos ? first : port_of(text.substr(dash + 1));
  if (!first || !last || *last < *first) return fail(Code::InvalidArgument, "must be a range of ports, first-last, of 1 to 65535");
  return Ports{*first, *last};
}

}  // namespace tutti

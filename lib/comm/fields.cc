// fields: see fields.h.
#include "lib/comm/fields.h"

#include <cstdint>
#include <cstring>

namespace tutti {

void append(std::string& to, const std::string& field) {
  const uint32_t length = static_cast<uint32_t>(field.size());
  to.append(reinterpret_cast<const char*>(&length), sizeof length);
  to += field;
}

std::vector<std::string> fields_of(const std::string& from) {
  std::vector<std::string> fields;
  for (size_t at = 0; at < from.size();) {
    uint32_t length;
    if (from.size() - at < sizeof length || fields.size() == kMaxFields) return {};
    std::memcpy(&length, from.data() + at, sizeof length);
    at += sizeof length;
    if (length > from.size() - at) return {};
    fields.push_back(from.substr(at, length));
    at += length;
  }
  return fields;
}

std::string field_of(Code code) { return std::to_string(static_cast<int>(code)); }

Code code_of(const std::string& field) {
  for (int code = 0; code < static_cast<int>(Code::InProgress); ++code)
    if (field == std::to_string(code)) return static_cast<Code>(code);
  return Code::InternalError;
}

}  // namespace tutti

// fields: a few texts in one blob, each with its length in front. Ranks exchange such blobs while they join.
#pragma once
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace tutti {

inline constexpr size_t kMaxFields = 8;

void append(std::string& to, const std::string& field);
// The fields that append() wrote. Empty if the bytes are something else, or more than kMaxFields fields.
std::vector<std::string> fields_of(const std::string& from);

// A code as a field. A field that is not a code reads as InternalError.
std::string field_of(Code code);
Code code_of(const std::string& field);

}  // namespace tutti

// fields: what a rank tells all others in one blob: a few texts one after the other, each with its length in front.
#pragma once
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace tutti {

inline constexpr size_t kMaxFields = 8;

void append(std::string& to, const std::string& field);
// Empty unless the bytes are what append() wrote, kMaxFields times at most.
std::vector<std::string> fields_of(const std::string& from);

// A code as a field. What is no code of ours counts as InternalError.
std::string field_of(Code code);
Code code_of(const std::string& field);

}  // namespace tutti

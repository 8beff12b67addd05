// failure: the exception of the tools and benchmarks: a failed call of the library, or anything else that ends the program with an error.
#pragma once
#include <stdexcept>
#include <string>

#include "tutti/tutti.h"

namespace tutti::tool {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The error text of a failed call. It begins with the call's name, `what`.
inline std::string why(tuttiResult_t result, const std::string& what) {
  std::string sentence = tuttiGetLastError(nullptr);
  if (sentence.empty()) sentence = tuttiGetErrorString(result);
  return sentence.compare(0, what.size(), what) == 0 ? sentence : what + ": " + sentence;
}

inline void check(tuttiResult_t result, const char* what, int rank) {
  if (result != tuttiSuccess) throw Failure("rank " + std::to_string(rank) + ": " + why(result, what));
}

}  // namespace tutti::tool

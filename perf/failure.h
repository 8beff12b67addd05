// failure: a failed call of the library, as an exception with a sentence; the benchmarks' only one.
#pragma once
#include <stdexcept>
#include <string>

#include "tutti/tutti.h"

namespace tutti::perf {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void check(tuttiResult_t result, const char* what, int rank) {
  if (result == tuttiSuccess) return;
  const std::string sentence = tuttiGetLastError(nullptr);
  throw Failure("rank " + std::to_string(rank) + ": " + what + ": " +
                (sentence.empty() ? tuttiGetErrorString(result) : sentence));
}

}  // namespace tutti::perf

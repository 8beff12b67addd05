// peer: what the stand-ins for Tutti (mpi.cc, gloo.cc) have in common. A stand-in makes tutti.h's calls by another library, so that
// the very same benchmark programs measure that library: same buffers, same timing, same check of every element.
//
// One communicator, one rank per process, stream NULL. What the library does not have is refused with a sentence that begins with
// "unsupported": perf/compare.py then shows "-" and goes on.
#pragma once
#include <string>

#include "tutti/tutti.h"

namespace tutti::perf {

// Leaves the sentence that tuttiGetLastError() gives.
tuttiResult_t peer_error(tuttiResult_t result, const std::string& sentence);
tuttiResult_t unsupported(const std::string& what);

}  // namespace tutti::perf

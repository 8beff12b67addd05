// probe: measures what lies between the hosts of a job's ranks, by the library's own messages, and writes the topology file.
#pragma once
#include <string>

namespace tutti::show {

// Run by every rank of a job, as a launcher starts them. Rank 0 writes the file; "-": to standard output. seconds: how long to
// measure bandwidths, about. Returns the exit code.
int probe(const std::string& path, double seconds);

}  // namespace tutti::show

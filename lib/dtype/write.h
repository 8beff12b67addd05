// write: the ways to write memory. They give the same bytes. Which is fastest depends on who has read the memory last.
//
// A core that stores into a line which another core has read takes the line back from that core's cache first. That is dear where the other
// core is far: on another socket, or behind another last-level cache.
#pragma once
#include <cstddef>
#include <cstdint>

namespace tutti {

enum class Way : uint8_t {
  Plain,     // as the compiler or the C library likes: for memory that nobody else reads
  Ahead,     // the same, but the lines are asked for in time: for memory that another core has read
  Strings,   // rep movsb of x86, which may overwrite whole lines without fetching them. As Ahead elsewhere
  Streamed,  // past the caches, which fetches nothing. The next reader fetches from memory. As Ahead where the processor is not an x86
};
const char* name_of(Way way);

// Copies. The two must not overlap. A later release covers it, whatever the way.
void write(std::byte* to, const std::byte* from, size_t bytes, Way way);
// The same in pieces. A later release covers them after end_pieces().
void write_piece(std::byte* to, const std::byte* from, size_t bytes, Way way);
void end_pieces();

// The fastest way through the caches to write what another core has read. Fixed for this processor: it does not follow the C library, whose
// own choice differs between versions.
Way shared_way(size_t bytes);

}  // namespace tutti

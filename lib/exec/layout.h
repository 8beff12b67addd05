// layout: from chunk numbers to elements.
//
// A message is `blocks` blocks of elements; a tile takes the same slice [tile*slice, (tile+1)*slice) out of every block (cut
// off where the block ends); a block's slice is cut into `pieces` equal pieces, the chunks of that block. A buffer's layout
// says how long each block is and where it starts, in elements.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tutti {

struct Layout {
  size_t count = 0;                     // elements of every block, when `counts` is empty
  std::span<const size_t> counts;       // else: of each block
  std::span<const size_t> displacements;  // where each block starts; empty: b * count

  size_t count_of(uint32_t block) const { return counts.empty() ? count : counts[block]; }
  size_t start_of(uint32_t block) const { return displacements.empty() ? block * count : displacements[block]; }
};

struct Range {
  size_t begin, count;  // elements
};

struct Tiling {
  uint32_t pieces = 1;  // chunks per block
  size_t slice = 1;     // elements of a block in one tile
  uint64_t tiles = 1;

  static uint64_t tiles_of(size_t count, size_t slice) { return count == 0 ? 1 : (count + slice - 1) / slice; }
};

// Where `run` adjacent chunks of one block (they must not go past its end) lie in a tile.
inline Range range_of(const Layout& layout, const Tiling& tiling, uint64_t tile, uint32_t chunk, uint32_t run) {
  const uint32_t block = tiling.pieces == 1 ? chunk : chunk / tiling.pieces, piece = chunk - block * tiling.pieces;
  const size_t count = layout.count_of(block);
  const size_t low = std::min(tile * tiling.slice, count), high = std::min(low + tiling.slice, count);
  if (run == tiling.pieces) return {layout.start_of(block) + low, high - low};
  const size_t begin = low + (high - low) * piece / tiling.pieces;
  const size_t end = low + (high - low) * (piece + run) / tiling.pieces;
  return {layout.start_of(block) + begin, end - begin};
}

}  // namespace tutti

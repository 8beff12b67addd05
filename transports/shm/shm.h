// shm: ranks of one host, or of one process, over shared memory.
//
// Messages are numbered cells in the sender's arena (arena.h). Up to 240 bytes travel inside the cell, up to 48 of them in one cache
// line from core to core. Longer payloads are copied once into a slot of the sender's pool, last in first out so that slots stay
// in cache, and are read in place by all readers; the post is done when the copy is. From 8 KiB on, memory of the heap
// (lib/base/memory.h), and all memory between ranks of one process, is not copied. Either the peers read it where it is, and the post's
// payload is outstanding until they have; or the reader has offered such memory of its own, and the sender writes the message there.
#pragma once
#include "lib/transport/transport.h"

namespace tutti::shm {

Result<std::unique_ptr<Transport>> create(const TransportOptions& options);

}  // namespace tutti::shm

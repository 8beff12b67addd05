// shm: ranks of one host, or of one process, over shared memory.
//
// Messages are numbered cells in the sender's arena (arena.h). Up to 240 bytes travel inside the cell, up to 48 of them in one cache line from
// core to core. Longer payloads are copied once into a slot of the sender's pool, last in first out so that slots stay in
// cache, and are read in place by all readers; a payload for many readers is copied once. A post is done when the copy is.
#pragma once
#include "lib/transport/transport.h"

namespace tutti::shm {

Result<std::unique_ptr<Transport>> create(const TransportOptions& options);

}  // namespace tutti::shm

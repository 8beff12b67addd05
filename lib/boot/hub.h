// hub: the service in rank 0's process that all ranks of a communicator stay connected to, for as long as it lives.
//
// It welcomes the ranks when all are there; collects and hands out the blobs of an all-gather; spreads the first failure to
// all; takes a connection that breaks without leave for the death of its rank; and asks around when an operation is late.
#pragma once
#include <memory>

#include "lib/boot/inquiry.h"
#include "lib/boot/server.h"

namespace tutti {

// Serves `ranks` ranks at `listener`, in a server that has yet to be started. Fails all that came if not all have come
// after `left_ns`.
Result<std::unique_ptr<Server>> make_hub(Descriptor listener, const Key& key, int ranks, int64_t left_ns);

}  // namespace tutti

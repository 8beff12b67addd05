// faulty: a transport that behaves as badly as the contract allows, and breaks on request. For tests (TUTTI_FAULT).
//
//   seed=N     the random sequence (plus the rank)
//   delay=P    in P % of the looks a message that is there is not seen yet
//   reorder=P  P % of the messages stay unseen for the next 1..64 looks, so that later ones overtake them
//   press=P    in P % of the tries a message is not accepted (back-pressure; later ones may be accepted first)
//   break=N    the N-th accepted message fails, and so does everything after it
#pragma once
#include "lib/transport/transport.h"

namespace tutti {

// InvalidArgument if `text` is no value of TUTTI_FAULT.
Status check_faults(const std::string& text);

// `text` is the value of TUTTI_FAULT; empty: `inner` comes back as it is.
Result<std::unique_ptr<Transport>> make_faulty(std::unique_ptr<Transport> inner, const std::string& text, int rank, int ranks);

}  // namespace tutti

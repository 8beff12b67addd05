// ucx: ranks anywhere, over the networks that UCX knows; TCP between plain hosts.
//
// Messages are UCP active messages (endpoint.h), each rail a context and a worker of its own (rail.h). A payload in one piece goes
// from where it lies; a long one straight to where its reader wants it. Connections are made when first needed, so a ring of any
// size makes two per rank.
#pragma once
#include "lib/transport/transport.h"

namespace tutti::ucx {

Result<std::unique_ptr<Transport>> create(const TransportOptions& options);

}  // namespace tutti::ucx

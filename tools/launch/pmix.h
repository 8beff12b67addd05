// pmix: hands the unique id from process 0 to the others of a job by the launcher's PMIx server (mpirun of Open MPI,
// srun --mpi=pmix, prterun): the way when ranks are on several hosts and nobody has named an address.
//
// libpmix.so.2 is loaded when it is needed; a machine without it misses nothing else.
#pragma once
#include <string>

#include "tutti/tutti.h"

namespace tutti::tool {

// Whether the launcher runs such a server for this process.
bool pmix_offered();
// Process 0 gives `id`, the others receive it. All call it. Returns "" or a sentence.
std::string exchange_id_by_pmix(int process, tuttiUniqueId& id);

}  // namespace tutti::tool

// pmix: hands the unique id from process 0 to the others of a job by the launcher's PMIx server (mpirun of Open MPI,
// srun --mpi=pmix, prterun). It serves ranks on several hosts if the environment names no address.
//
// libpmix.so.2 is loaded when it is needed. Without it everything else works.
#pragma once
#include <string>

#include "tutti/tutti.h"

namespace tutti::tool {

// Whether the launcher runs such a server for this process.
bool pmix_offered();
// Process 0 gives `id`, the others receive it. All call it. Returns "" or a sentence.
std::string pass_id_by_pmix(int process, tuttiUniqueId& id);

}  // namespace tutti::tool

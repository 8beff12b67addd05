// exchange: hands the unique id from process 0 to the others of a job on this host.
//
// Over an abstract unix socket (it leaves no file behind) whose name is made of the user and the job's key. Both sides check
// by peer credentials that the other belongs to the same user: the name can be guessed, and the id admits to the
// communicator. Waiting ends after TUTTI_INIT_TIMEOUT seconds, as read from the environment (a file of settings is not read
// here), or the library's default of it.
#pragma once
#include <string>

#include "tutti/tutti.h"

namespace tutti::tool {

// Process 0 gives `id`, the others receive it. Returns "" or a sentence.
std::string exchange_id(const std::string& key, int process, int processes, tuttiUniqueId& id);

}  // namespace tutti::tool

// id_socket: hands the unique id from process 0 to the others of a job on this host.
//
// It uses an abstract unix socket, which leaves no file behind. The socket's name is made of the user and the job's key, so it can be
// guessed. Whoever has the id may join, so both sides check by peer credentials that the other one belongs to the same user. Waiting ends
// after TUTTI_INIT_TIMEOUT seconds, from the environment (a file of settings is not read here) or by the library's default.
#pragma once
#include <string>

#include "tutti/tutti.h"

namespace tutti::tool {

// Process 0 gives `id`, the others receive it. Returns "" or a sentence.
std::string pass_id(const std::string& key, int process, int processes, tuttiUniqueId& id);

}  // namespace tutti::tool

// launch: starts the processes of a job, or finds out which process of a job this is, and gives all of them one unique id.
//
// There are three ways:
//  - One process: nothing is to be done.
//  - Forked (-p N): this process forks N children and watches them. Child 0 makes the id, in memory that all share.
//  - A launcher (mpirun, srun, torchrun, tutti-run): the environment says which process this is. With TUTTI_COMM_ID every process makes the
//    same id by itself. Otherwise process 0 passes it to the others: on one host over a unix socket (id_socket.h), on several by the
//    launcher's PMIx (pmix.h) or at the address that torchrun names.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "tutti/tutti.h"

namespace tutti::tool {

struct Job {
  int process = 0, processes = 1;
  int local = 0;           // number of this process on its host: chooses its core
  std::string launcher;    // "" : none
  std::vector<int> cores;  // to pin to; empty: leave threads where they are
  tuttiUniqueId id{};
};

// IfFree: pin unless a launcher has placed the process: it may use fewer processors than there are.
enum class Bind { Never, IfFree, Always };

struct Launch {
  int forked = 0;  // processes asked for by -p, 0: not given
  Bind bind = Bind::Never;
  // Returns why the job cannot run, or "". Called before any process is forked or has met others. Under a launcher each process calls it,
  // and the first one prints the answer.
  std::function<std::string(const Job&)> refuse = {};
};

// Runs `body` in every process and returns the exit code of this one; 2 if there is nothing to run.
// REQUIRES: no threads yet.
int launch(const std::string& program, const Launch& how, const std::function<int(const Job&)>& body);

}  // namespace tutti::tool

// launch: how the processes of a benchmark come to be and come to share a unique id.
//
// Three ways. One process: nothing to do. Forked: this process forks -p N children and watches them; child 0 makes the id
// and leaves it in memory shared with the others. A launcher (mpirun, srun, torchrun, tutti-run): the environment says who
// we are; with TUTTI_COMM_ID every process makes the same id by itself, else process 0 hands it out: on one host over an
// abstract unix socket named after the user and the job, to processes of the same user only; on several by the launcher's PMIx, or at
// the address that the launcher tells.
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

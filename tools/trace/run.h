// run: the files of one run of a program on one timeline: which belong together, which row each one has, and how far its clock is off.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "tools/trace/source.h"

namespace tutti::trace {

struct Row {
  int pid = 0;            // of the merged trace: the rank, or a number past all ranks
  int64_t shift_ns = 0;   // to add to the file's times
  bool repeated = false;  // the report of a failure whose calls are in a trace as well
};

struct Run {
  std::vector<Source> sources;
  std::vector<Row> rows;         // by source
  std::map<int, std::string> names;  // of the rows' pids
  int ranks = 0;                 // of the largest communicator
  size_t machines = 0;
  int64_t uncertainty_ns = 0;    // of the worst clock
  std::vector<std::string> notes;  // what a reader has to know
};

// Files belong together if they share a process or a communicator. If there are several runs, the latest is taken, and a note names how many
// files are left out.
Run run_of(std::vector<Source> sources);

}  // namespace tutti::trace

// campaign_run: runs one world in processes of its own and records what happened.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "tests/fault/campaign_log.h"

namespace tutti::test::campaign {

struct ProcessEnd {
  int pid = -1;
  bool ended = false;  // by itself or by a fault; otherwise it was killed at the end
  int status = 0;      // of waitpid()
  std::string errors;  // its standard error
};

struct Hang {
  int driver;
  std::string call, stack;
  double seconds;
};

struct Record {
  std::shared_ptr<Log> log;
  std::vector<ProcessEnd> processes;  // the last one makes ids and has no ranks; pid -1: there is none
  std::vector<Hang> hangs;
  double lag_s = 0;      // the longest time for which the runner got no processor
  double runnable = 0;   // runnable threads of the whole machine, on average
  double seconds = 0;
  std::vector<std::string> files;  // left in the file system
};

// Takes the stacks of a process that hangs with gdb, if that is installed.
Record run_world(World& world);

}  // namespace tutti::test::campaign

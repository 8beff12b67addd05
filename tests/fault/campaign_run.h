// campaign_run: runs one world in processes of its own, and brings back what became of it.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "tests/fault/campaign_log.h"

namespace tutti::test::campaign {

struct ProcessEnd {
  int pid = -1;
  bool ended = false;  // by itself or a fault; else it was killed when all was over
  int status = 0;      // of waitpid()
  std::string errors;  // what it wrote to its standard error
};

struct Hang {
  int driver;
  std::string call, stack;
  double seconds;
};

struct Record {
  std::shared_ptr<Log> log;
  std::vector<ProcessEnd> processes;  // the last one: who makes ids and is no rank; its pid is -1 if there is none
  std::vector<Hang> hangs;
  double lag_s = 0;      // the longest time for which the machine did not let the one run who runs the world
  double runnable = 0;   // threads of the whole machine that would run, on average
  double seconds = 0;
  std::vector<std::string> files;  // that were left in the file system
};

// Where a hang is found, gdb is asked where its threads are, if there is one.
Record run_world(World& world);

}  // namespace tutti::test::campaign

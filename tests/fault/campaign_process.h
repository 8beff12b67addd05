// campaign_process: one process of a world: its drivers, the threads that inject faults or watch, and the check for leaks at the end.
#pragma once
#include "tests/fault/campaign_log.h"

namespace tutti::test::campaign {

// Runs in a new process. Returns its exit code, 0, unless a fault ends the process.
int run_process(const World& world, Log& log, int process);
// The same for the process that makes ids and has no ranks.
int run_maker(const World& world, Log& log);

}  // namespace tutti::test::campaign

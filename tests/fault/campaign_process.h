// campaign_process: one process of a world: its drivers, the threads that harm or watch them, and what is left when all are over.
#pragma once
#include "tests/fault/campaign_log.h"

namespace tutti::test::campaign {

// To be called in a new process. The exit code, if it comes to an end: 0.
int run_process(const World& world, Log& log, int process);
// The process that makes ids and is no rank.
int run_maker(const World& world, Log& log);

}  // namespace tutti::test::campaign

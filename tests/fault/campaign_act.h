// campaign_act: carries out what goes wrong in a process.
#pragma once
#include "tests/fault/campaign_log.h"

namespace tutti::test::campaign {

// Whether the thread that makes the calls does it, before the step; else another one does, in the midst of it.
bool happens_before_step(const Fault& fault);
// Does it, now, and writes down when. It may not return.
void act(const World& world, const Fault& fault, FaultLog& log);
// Takes back what was for the step only: limits.
void undo(const Fault& fault);

// What a process that quits or exits because of a fault ends with.
constexpr int kFaultExit = 7;

}  // namespace tutti::test::campaign

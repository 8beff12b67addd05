// campaign_act: carries out the faults that a process does to itself.
#pragma once
#include "tests/fault/campaign_log.h"

namespace tutti::test::campaign {

// Whether the driver's thread carries out the fault, before the step. Otherwise another thread does, during the step.
bool happens_before_step(const Fault& fault);
// Carries out the fault now and logs the time. It may not return.
void act(const World& world, const Fault& fault, FaultLog& log);
// Lifts the limits that were for this step only.
void undo(const Fault& fault);

// The exit code of a process that quits or exits because of a fault.
constexpr int kFaultExit = 7;

}  // namespace tutti::test::campaign

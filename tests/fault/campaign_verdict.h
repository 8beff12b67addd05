// campaign_verdict: judges a world: compares the faults that happened with the errors that ranks got.
//
// A call that fails is right to fail as follows:
//   an end by SIGKILL or exit             RemoteError that names a rank of that process, within 2 s (over UCX 3.5 s) of its end, if
//                                         that rank had joined. It says "died" only of a process that has died
//   a stop, sleep, or call left out       RemoteError at the deadline. It names the rank, or one that is late because of it
//   an abort                              RemoteError that names who aborted; InvalidUsage on that rank itself
//   another call                          InvalidUsage that names the rank among those that made different calls
//   a limit                               SystemError: in the process with the limit it names the limit, in others the rank
//   a rank that leaves after its failure  RemoteError that says so: the rank has not died
// No call fails where nothing happened that has to be noticed. In any world a call that succeeds has the right values.
#pragma once
#include <string>
#include <vector>

#include "tests/fault/campaign_run.h"

namespace tutti::test::campaign {

enum class Wrong {
  Hang,
  Crash,
  InUcx,  // a crash inside UCX, or a hang there after memory ran out
  Data,
  Name,  // a rank is blamed that is not to blame, or nobody is
  Late,
  Leak,
  Promise,  // the library breaks another promise: kinds of errors, handles
  Load,     // the machine was too busy: not the library's fault
};
constexpr int kWrongs = 9;
const char* name_of(Wrong wrong);

struct Finding {
  Wrong wrong;
  std::string text;
};

std::vector<Finding> judge(const World& world, const Record& record);

}  // namespace tutti::test::campaign

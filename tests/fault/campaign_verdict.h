// campaign_verdict: what was wrong in a world, judged by what was done to it and what its ranks were told.
//
// Right is, of a call that has failed:
//   an end by SIGKILL or exit             RemoteError that names a rank of that process, within 2 s (over UCX 3.5 s) of its end, if
//                                         that rank had joined; "died" only of a process that has died, known by its pid
//   a stop, sleep, or call left out       RemoteError at the deadline, that names the rank, or one that is behind because of it
//   an abort                              RemoteError that names who aborted; InvalidUsage on that rank itself
//   another call                          InvalidUsage that names the rank among those who called differently
//   a limit                               SystemError that names the limit in the process that has it, and on others the rank
//   who leaves after its own failure      RemoteError that says so: it has not died
// and nothing where nothing happened that need be noticed. A call that succeeds has the right values in any world.
#pragma once
#include <string>
#include <vector>

#include "tests/fault/campaign_run.h"

namespace tutti::test::campaign {

enum class Wrong {
  Hang,
  Crash,
  InUcx,  // an end, or with too little memory a hang, inside UCX
  Data,
  Name,  // who is not guilty is blamed, or nobody is
  Late,
  Leak,
  Promise,  // another one that the library makes: kinds of errors, handles
  Load,     // what is blamed on the machine, which was too busy: no fault of the library's
};
constexpr int kWrongs = 9;
const char* name_of(Wrong wrong);

struct Finding {
  Wrong wrong;
  std::string text;
};

std::vector<Finding> judge(const World& world, const Record& record);

}  // namespace tutti::test::campaign

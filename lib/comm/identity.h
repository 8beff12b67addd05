// identity: who wrote a file of events: the first line of every such file. docs/trace.md has its members.
#pragma once
#include <string>

#include "lib/comm/clocks.h"
#include "lib/comm/options.h"
#include "lib/trace/line.h"

namespace tutti {

// Different in every process, and no secret. All ranks of a communicator know that of rank 0's process.
uint64_t process_number();
std::string hex(uint64_t number);

struct Identity {
  CommOptions options;
  ClockOffset clock;

  // "KIND-rank3-comm1-HOST-PID", for a file's name.
  std::string file_name(const char* kind) const;
  // The first line, to which members may be added before two close().
  Line header(const char* kind) const;
  // The second line: the name of the process that stands for the rank.
  std::string process_name() const;
};

}  // namespace tutti

// campaign_blame: whom an error's sentence names, and for what.
#pragma once
#include <string>
#include <vector>

namespace tutti::test::campaign {

struct Blame {
  enum class What {
    Died,      // with a pid, mostly
    Silent,    // does not answer
    Left,      // has left the communicator
    Lags,      // has not called, or is waited for
    Aborted,   // called CommAbort
    GaveUp,    // while the ranks were joining
    Absent,    // did not join
    Failed,    // "rank 3: shm: too many open files"
    Differs,   // made another call
    Broke,     // a connection to it
    Nameless,  // says what has happened, but not by whom
  } what;
  int rank = -1;  // by the communicator's numbers; -1: not said
  int pid = -1;   // -1: not said
};

std::vector<Blame> blames_in(const std::string& sentence);
// All numbers of ranks that the sentence mentions.
std::vector<int> ranks_in(const std::string& sentence);

}  // namespace tutti::test::campaign

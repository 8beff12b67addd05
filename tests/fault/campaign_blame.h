// campaign_blame: which ranks an error text blames, and for what.
#pragma once
#include <string>
#include <vector>

namespace tutti::test::campaign {

struct Blame {
  enum class What {
    Died,      // mostly with a pid
    Silent,    // does not answer
    Left,      // has left the communicator
    Lags,      // has not called, or others wait for it
    Aborted,   // called CommAbort
    GaveUp,    // while the ranks were joining
    Absent,    // did not join
    Failed,    // "rank 3: shm: too many open files"
    Differs,   // made another call
    Broke,     // a connection to it broke
    Nameless,  // the text names no rank
  } what;
  int rank = -1;  // its number in the communicator; -1: not named
  int pid = -1;   // -1: not named
};

std::vector<Blame> blames_in(const std::string& sentence);
// All ranks that the error text mentions.
std::vector<int> ranks_in(const std::string& sentence);

}  // namespace tutti::test::campaign

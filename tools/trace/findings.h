// findings: what a run shows: which ranks come last to collectives and what that costs, who waits for whom, and who was where when a
// communicator failed.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "tools/trace/run.h"

namespace tutti::trace {

// One rank's part in a collective, on the common timeline.
struct Arrival {
  int rank;
  int64_t begin_ns, end_ns;
};

// What a rank costs the others. A collective that all ranks made is held up by the rank that begins it last: from the time when the last but
// one began it until that rank begins it; but not after the end of the others' calls, which then did not need it.
struct Lateness {
  uint64_t last = 0;            // calls to which it came last
  int64_t cost_ns = 0;          // for how long it held up the others
  int64_t worst_ns = 0;
  std::string worst;            // that call
};

class Findings {
 public:
  explicit Findings(const Run& run);
  // An event of the file of run.sources[source], whose times are the file's.
  void add(size_t source, const Json& event);
  // The report, in lines.
  std::string text() const;

 private:
  struct Calls {
    std::map<uint64_t, std::vector<Arrival>> arrivals;  // by number
    std::map<uint64_t, std::string> names;
  };
  struct Last {  // a rank's last traced call
    std::string text;
    int64_t begin_ns = 0, end_ns = 0;
  };
  std::map<int, Lateness> lateness_of(const std::string& key, uint64_t& compared, uint64_t& other) const;
  std::string stragglers() const;
  std::string waits() const;
  std::string failures() const;
  std::string moment_of(const Source& one, int rank, int64_t failed_ns) const;

  const Run& run_;
  std::map<std::pair<std::string, int>, int> pids_;  // by key and rank
  std::map<std::string, Calls> calls_;  // by key
  std::map<std::pair<std::string, int>, Last> last_;
  std::map<std::pair<int, int>, std::pair<int64_t, uint64_t>> waits_;  // row, row waited for: ns, times
  std::map<size_t, std::pair<std::string, int64_t>> unfinished_;       // by flight: the call, and its begin
  std::map<size_t, std::pair<int64_t, int64_t>> left_out_;             // by source: calls, details
  uint64_t events_ = 0;
  int64_t first_ns_ = 0, last_ns_ = 0;
};

}  // namespace tutti::trace

// picture: a run as a timeline for a page: a row for each rank, with its calls, and the steps and waits inside of them.
#pragma once
#include <map>
#include <queue>
#include <string>
#include <vector>

#include "tools/page/timeline.h"
#include "tools/trace/run.h"

namespace tutti::trace {

class Picture {
 public:
  // zero_ns: the time that becomes 0. most: spans; of more, those that end first are kept.
  Picture(const Run& run, int64_t zero_ns, size_t most);
  // An event of the file of run.sources[source].
  void add(size_t source, const Json& event);
  show::Timeline timeline();

 private:
  struct Placed {
    size_t rank;
    show::Timeline::Span span;
  };
  struct EndsBefore {
    bool operator()(const Placed& a, const Placed& b) const { return a.span.end < b.span.end; }
  };

  const Run& run_;
  const int64_t zero_ns_;
  const size_t most_;
  std::map<int, size_t> ranks_;  // index in the timeline, by a row's pid
  show::Timeline timeline_;
  std::priority_queue<Placed, std::vector<Placed>, EndsBefore> spans_;
  bool cut_ = false;
};

}  // namespace tutti::trace

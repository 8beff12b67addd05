// flows: transfers that share links fairly; who gets how much, and when the next one is done.
//
// A flow crosses a fixed set of links, its path. All flows under way get max-min fair rates: nobody could get more without
// taking from somebody who has less. Flows of one path are alike, so they are kept as one: what each of them has been served is
// one number, and a flow is done when that number has grown by its bytes. Rates are worked out anew when a moment has passed in
// which something began or ended, and only for the flows that share links, directly or through others, with those. Where these
// are very many (a crowd), that waits until one in 64 of them has changed: meanwhile a flow that begins takes an even part of its
// links, or what its path has, and what one that ended leaves is not used.
// Time is in picoseconds, so that what happens together happens at equal times.
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <queue>
#include <vector>

namespace tutti {

class Loads;

using Picoseconds = int64_t;
inline constexpr Picoseconds kNever = std::numeric_limits<Picoseconds>::max();
// 26 days. Two or three times up to here can be added.
inline constexpr Picoseconds kLongest = kNever / 4;
inline Picoseconds at_most_longest(double picoseconds) {
  return static_cast<Picoseconds>(std::min(picoseconds, static_cast<double>(kLongest)));
}

class Flows {
 public:
  // Bytes per second of each link.
  explicit Flows(std::vector<double> capacities);

  // The number of a path; equal sets of links get equal numbers. REQUIRES: at least one link, none twice.
  uint32_t path(const std::vector<uint32_t>& links);
  // REQUIRES: bytes > 0; `now` never goes back, and never past next().
  void start(uint32_t path, double bytes, uint32_t tag, Picoseconds now);
  // When the next flow is done; kNever when there is none. Ends the moment: whatever starts now belongs to the next one.
  Picoseconds next(Picoseconds now);
  // Appends the tags of the flows that are done at `now`, and forgets them.
  void collect(Picoseconds now, std::vector<uint32_t>& done);

  // From now on, what each link carries is added to its row of `loads`, which must outlive this.
  void watch(Loads& loads) { loads_ = &loads; }

  const std::vector<double>& carried() const { return carried_; }  // bytes, per link, of all flows ever started

 private:
  struct Flow {
    double end;  // done when its path has served this much
    uint32_t tag;
    bool operator>(const Flow& other) const { return end != other.end ? end > other.end : tag > other.tag; }
  };
  struct Path {
    std::vector<uint32_t> links;
    std::priority_queue<Flow, std::vector<Flow>, std::greater<>> flows;
    double served = 0, rate = 0;  // bytes, and bytes per second, of each of its flows
    Picoseconds since = 0;        // when `served` was so
    Picoseconds due = kNever;     // when its next flow is done
    uint32_t heap = 0;            // where it is in heap_, while due
    uint32_t changes = 0;         // flows that began or ended in this moment
    bool listed = false;          // among its links' members
    bool met = false;             // in this walk
  };
  struct LinkState {
    double capacity;
    uint32_t flows = 0;  // under way
    uint32_t crowd = 0;  // what it was found connected with last: an index of crowds_
    bool met = false;
    double left = 0;                // while rates are worked out: what is not given away,
    uint32_t without = 0;           // and flows that have no rate yet
    std::vector<uint32_t> members;  // paths with flows
  };
  // Links that flows connect; by the number of the first of them.
  struct Crowd {
    uint32_t flows = 0;             // when their rates were worked out
    uint32_t changes = 0;           // since
    std::vector<uint32_t> changed;  // paths
  };

  void touch(uint32_t path);
  void serve(Path& path, Picoseconds now);
  void set_rate(uint32_t index, double rate, Picoseconds now);
  void list(uint32_t index);
  bool waits(uint32_t index, Picoseconds now);
  void gather();
  void share(Picoseconds now);
  void set_due(uint32_t index, Picoseconds due);
  void sift(uint32_t at);
  bool earlier(uint32_t a, uint32_t b) const {
    return paths_[a].due < paths_[b].due || (paths_[a].due == paths_[b].due && a < b);
  }

  Loads* loads_ = nullptr;
  std::vector<LinkState> links_;
  std::vector<double> carried_;
  std::vector<Path> paths_;
  std::map<std::vector<uint32_t>, uint32_t> known_;
  std::vector<uint32_t> changed_;                  // paths, in this moment
  std::vector<uint32_t> stale_;                    // those to work out rates from
  std::vector<uint32_t> near_links_, near_paths_;  // what is connected with these
  std::vector<Crowd> crowds_;                      // by link
  std::vector<uint32_t> heap_;                     // paths, the one due first at 0
};

}  // namespace tutti

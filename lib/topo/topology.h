// topology: where the ranks sit and what it costs to go from one to another; a value that all ranks share.
//
// Places form a tree: a list of levels, outermost first (say rack, host, core), and for each rank the place it has on each
// level. Place numbers of a level count within the enclosing place. Every place has an uplink, by which all its ranks reach
// what is outside of it: a message leaves its sender's places and enters its receiver's from the first (outermost) level on
// which they differ inwards. Every algorithm sees only this; it never learns what made it.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"

namespace tutti {

struct Link {
  double latency_s;      // of one message of no bytes; what sender and receiver do for it comes on top (lib/sched/effort.h)
  double bandwidth_Bps;  // bytes per second out of a place, and as many into it at the same time
};

// A core goes from one rank to another: what a message in memory waits for where ranks share cores.
inline constexpr double kSwitchSeconds = 1e-6;

class Topology {
 public:
  static constexpr int kMaxRanks = 1 << 16;
  struct Level {
    std::string name;
    Link link;            // of each of its places, unless an Uplink says otherwise
    bool memory = false;  // places share a host's memory: a payload is written once, however many ranks read it
  };
  // The way out of one place: that of `rank` on `level`.
  struct Uplink {
    int rank;
    size_t level;
    Link link;
  };
  // A level on which ranks part, in numbers: what prices are made of.
  struct Split {
    size_t level;
    int fan;     // places within one place of the level outside, at most
    int size;    // ranks in one place, at most
    int places;  // in all
    Link link;   // the slowest of its places'
    bool memory;
  };

  // All ranks side by side on one host.
  static Topology flat(int ranks);
  static Topology flat(int ranks, const Link& link);
  // "rack:2 host:4 core:8": 64 ranks; a level whose groups differ lists them in order: "host:3 core:2+3+1" is six ranks on
  // three hosts. The innermost level counts ranks. Levels are core, cache, numa, socket, device, npu, host, switch, rack
  // and site, each with a typical link. Errors name the word that is wrong.
  static Result<Topology> synthetic(std::string_view text);
  // One of these levels by its name, which must be known.
  static Level known_level(std::string_view name);
  // From every rank's path of places; all paths have levels.size() entries. Path entries may be any numbers: equal
  // numbers under the same parent are the same place, but on the innermost level every rank has its own.
  static Topology from_paths(std::vector<Level> levels, const std::vector<std::vector<uint64_t>>& paths,
                             std::span<const Uplink> uplinks = {});

  int ranks() const { return static_cast<int>(places_.size()); }
  const std::vector<Level>& levels() const { return levels_; }
  // The levels that part any ranks, outermost first. Empty for one rank.
  const std::vector<Split>& splits() const { return splits_; }
  // Ranks of a core, on the machine where most share one; 1 where each has its own, or where it is not known.
  double crowding() const { return crowding_; }
  void set_crowding(double ranks_per_core) { crowding_ = ranks_per_core; }
  // Between two different ranks: the slower of their places' uplinks on the level on which they differ.
  Link link(int a, int b) const;
  const Link& uplink(int rank, size_t level) const { return uplinks_[level][index_[static_cast<size_t>(rank)][level]]; }
  // The rank's place among all of a level, wherever they are: 0 .. places - 1.
  uint32_t place_in_all(int rank, size_t level) const { return index_[static_cast<size_t>(rank)][level]; }
  // The first level on which two ranks differ; levels().size() when a == b.
  size_t divergence(int a, int b) const;
  // The rank's place on a level, counted within the place outside.
  uint32_t place(int rank, size_t level) const { return places_[static_cast<size_t>(rank)][level]; }
  // Ranks grouped by their place on levels 0..level (inclusive), groups in order of their lowest rank, ranks ascending.
  std::vector<std::vector<int>> groups(size_t level) const;

 private:
  std::vector<Level> levels_;
  std::vector<Split> splits_;
  std::vector<std::vector<uint32_t>> places_;  // [rank][level], within the place outside
  std::vector<std::vector<uint32_t>> index_;   // [rank][level], among all
  std::vector<std::vector<Link>> uplinks_;     // [level][place among all]
  double crowding_ = 1;
};

}  // namespace tutti

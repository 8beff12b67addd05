// plans: which algorithm serves a call, and its plan, made on first use and kept.
//
// All ranks have to choose alike, without asking. So the choice depends only on what all of them know: the problem (but not rank or
// in_place), the message's bytes as a power of two, TUTTI_ALGO, the topology; and, between two ranks, what both heard in the last
// AllReduce of that size (mapped).
#pragma once
#include <array>
#include <map>
#include <memory>
#include <vector>

#include "lib/base/settings.h"
#include "lib/exec/plan.h"
#include "lib/sched/algorithm.h"

namespace tutti {

// TUTTI_ALGO, parsed: a forced algorithm per collective, "" where it is free.
class ForcedAlgorithms {
 public:
  static Result<ForcedAlgorithms> parse(const std::string& text);
  // The name and whether it was given for this very collective (then it must apply).
  const std::string& name(Collective collective) const { return names_[static_cast<size_t>(collective)]; }
  bool strict(Collective collective) const { return strict_[static_cast<size_t>(collective)]; }

 private:
  std::array<std::string, kCollectives> names_;
  std::array<bool, kCollectives> strict_{};
};

// The size whose price decides for all messages of as many binary digits, so that the choice does not depend on where among them
// the first call was: the power of two, as most messages are one.
size_t deciding_bytes(size_t bytes);

class Plans {
 public:
  Plans(int rank, const Topology& topology, std::vector<Route> routes, ForcedAlgorithms forced, size_t tile_bytes);

  // Whether every algorithm that was forced for one collective by name can serve it.
  Status check_forced() const;

  // bytes: of the whole message (all blocks), or the largest block's share of it where blocks differ.
  Result<const Plan*> find(Collective collective, int root, bool in_place, bool uniform, size_t bytes);
  // AllReduce of buffers that are mapped (Problem).
  Result<const Plan*> find_mapped(bool in_place, size_t bytes);
  // Of one message to a peer or from it.
  const Plan* point_to_point(bool sends, int peer) {
    const std::unique_ptr<Plan>& plan = single_[sends][static_cast<size_t>(peer)];
    return plan ? plan.get() : make_single(sends, peer);
  }

 private:
  static constexpr int kBuckets = 48;  // binary digits of bytes
  static size_t bucket_of(size_t bytes) { return std::min<size_t>(std::bit_width(bytes), kBuckets - 1); }
  struct Variant {
    std::vector<const Plan*> by_root;  // empty until used
  };
  const Plan* make_single(bool sends, int peer);
  Result<const Plan*> make(const Problem& problem, size_t bytes);
  Problem problem_of(Collective collective, int root, bool in_place, bool uniform) const {
    return {collective, root, rank_, topology_.ranks(), in_place, uniform, topology_};
  }

  const int rank_;
  const Topology& topology_;
  const std::vector<Route> routes_;
  const ForcedAlgorithms forced_;
  const size_t tile_bytes_;
  std::array<std::array<std::array<Variant, kBuckets>, 4>, kCollectives> table_;  // [collective][in_place, uniform][bucket]
  std::array<std::array<const Plan*, kBuckets>, 2> mapped_{};  // AllReduce: [in_place][bucket]
  // One plan per (algorithm, problem), whatever the size.
  std::map<std::tuple<const Algorithm*, Collective, int, bool, bool>, std::unique_ptr<Plan>> made_;
  std::array<std::vector<std::unique_ptr<Plan>>, 2> single_;  // [sends][peer], made on first use
};

}  // namespace tutti

// wiring: see wiring.h.
#include "lib/sched/wiring.h"

#include <algorithm>
#include <unordered_map>

namespace tutti {
namespace {

class Wiring {
 public:
  Wiring(std::span<const Program> programs, Network& network) : network_(network) {
    for (const Program& program : programs) plans_.push_back({&program, {}, {}, {}});
  }

  Result<std::vector<RankPlan>> run() {
    // Receivers first: who sends needs to know where a message goes.
    for (uint32_t rank = 0; rank < plans_.size(); ++rank) {
      RankPlan& plan = plans_[rank];
      plan.works.resize(plan.program->works.size());
      for (uint32_t w = 0; w < plan.works.size(); ++w)
        if (plan.program->works[w].kind == Work::Kind::Combine) receive(rank, w);
    }
    std::sort(expected_.begin(), expected_.end(), [](const Expected& a, const Expected& b) { return a.key < b.key; });
    size_t sent = 0;
    for (uint32_t rank = 0; rank < plans_.size(); ++rank) {
      RankPlan& plan = plans_[rank];
      for (uint32_t w = 0; w < plan.works.size(); ++w)
        if (plan.program->works[w].kind == Work::Kind::Send) TUTTI_TRY(send(rank, w));
      sent += plan.targets.size();
    }
    if (sent != expected_.size())
      return fail(Code::InternalError, "simulate: ", sent, " messages are sent and ", expected_.size(), " expected");
    return std::move(plans_);
  }

 private:
  struct Key {
    uint32_t from, to, channel, message;
    auto operator<=>(const Key&) const = default;
  };
  struct Expected {
    Key key;
    uint32_t work;
  };

  void receive(uint32_t rank, uint32_t index) {
    RankPlan& plan = plans_[rank];
    const Work& work = plan.program->works[index];
    Detail& detail = plan.works[index];
    detail.first_pull = static_cast<uint32_t>(plan.pulls.size());
    for (uint32_t i = work.first; i < work.first + work.count; ++i) {
      const Source& source = plan.program->sources[i];
      if (source.peer < 0) continue;
      const uint32_t from = static_cast<uint32_t>(source.peer);
      expected_.push_back({{from, rank, source.channel, source.message}, index});
      const Way way = network_.way(source.peer, static_cast<int>(rank));
      ++detail.messages;
      detail.effort += way.effort;
      if (!way.memory) continue;
      const auto first = plan.pulls.begin() + detail.first_pull;
      const auto same = std::find_if(first, plan.pulls.end(), [&](const Pull& pull) { return pull.path == way.path; });
      if (same != plan.pulls.end())
        ++same->messages;
      else
        plan.pulls.push_back({way.path, 1});
    }
    detail.pulls = static_cast<uint32_t>(plan.pulls.size()) - detail.first_pull;
    // Every source next to the first is added to it; what lies in memory is at least copied; a network brings a single message
    // to where it belongs.
    detail.touched = work.count > 1 ? work.count - 1 : detail.pulls > 0 || detail.messages == 0 ? 1 : 0;
  }

  Status send(uint32_t rank, uint32_t index) {
    RankPlan& plan = plans_[rank];
    const Work& work = plan.program->works[index];
    plan.targets.resize(plan.program->targets.size());
    bool memory = false;
    for (uint32_t i = work.first; i < work.first + work.count; ++i) {
      const Target& target = plan.program->targets[i];
      const Key key{rank, static_cast<uint32_t>(target.peer), target.channel, target.message};
      const auto it = std::lower_bound(expected_.begin(), expected_.end(), key,
                                       [](const Expected& entry, const Key& wanted) { return entry.key < wanted; });
      if (it == expected_.end() || it->key != key)
        return fail(Code::InternalError, "simulate: rank ", rank, " sends message ", target.message, " to rank ",
                    target.peer, ", which does not expect it");
      const uint64_t pair = uint64_t{rank} << 32 | static_cast<uint32_t>(target.peer);
      const uint32_t connection = connections_.try_emplace(pair, static_cast<uint32_t>(connections_.size())).first->second;
      plan.targets[i] = {static_cast<uint32_t>(target.peer), it->work, connection,
                         network_.way(static_cast<int>(rank), target.peer)};
      memory |= plan.targets[i].way.memory;
    }
    plan.works[index].touched = memory ? 1 : 0;
    return {};
  }

  Network& network_;
  std::vector<RankPlan> plans_;
  std::vector<Expected> expected_;
  std::unordered_map<uint64_t, uint32_t> connections_;  // by sender and receiver
};

}  // namespace

Result<std::vector<RankPlan>> wire(std::span<const Program> programs, Network& network) {
  return Wiring(programs, network).run();
}

}  // namespace tutti

// fuse: schedule -> program. Chains of Combines become one pass over memory, Sends of one content one payload.
//
// Steps are taken in program order. Each joins an earlier work, or opens one. A work with a joined step starts later: it waits for what
// that step needs, too. If somebody must have the work's result before he can send that, joining would deadlock; the rules at
// joins_combine refuse such steps. The sweep in tests/model checks the programs that come out.
// Invariant: a work's dependencies have smaller indices.
#include <algorithm>
#include <cassert>
#include <map>

#include "lib/sched/program.h"

namespace tutti {
namespace {

constexpr uint32_t kNone = ~0u;

bool same_run(const Step& a, Ref ra, const Step& b, Ref rb) {
  return ra.buffer == rb.buffer && ra.chunk == rb.chunk && a.chunks == b.chunks;
}
bool sends(const Step& step) {
  return step.action == Action::Send;
}
bool receives(const Step& step) {
  return step.action == Action::Recv || step.action == Action::RecvReduce;
}
bool accumulates(const Step& step) {
  return step.action == Action::Reduce || step.action == Action::RecvReduce;
}

uint32_t into_send(const Program& program, const Work& work) {
  for (uint32_t d = work.first_dependent; d < work.first_dependent + work.dependents; ++d) {
    const Work& next = program.works[program.dependents[d]];
    if (next.kind == Work::Kind::Send && next.dependencies == 1 && next.ref == work.ref && next.chunks == work.chunks)
      return program.dependents[d];
  }
  return kNoWork;
}

uint32_t into_copy(const Program& program, const Work& work) {
  if (work.ref.buffer != Buffer::Scratch || work.dependents != 1) return kNoWork;
  const uint32_t index = program.dependents[work.first_dependent];
  const Work& next = program.works[index];
  const bool copies = next.kind == Work::Kind::Combine && next.count == 1 && next.chunks == work.chunks &&
                      program.sources[next.first].peer < 0 && program.sources[next.first].ref == work.ref;
  if (!copies) return kNoWork;
  // In one pass a result may take the place of a source, but not reach into one. Input may be Output.
  for (uint32_t i = work.first; i < work.first + work.count; ++i) {
    const Source& source = program.sources[i];
    const bool apart = (source.ref.buffer == Buffer::Scratch) != (next.ref.buffer == Buffer::Scratch);
    if (source.peer >= 0 || apart || source.ref.chunk == next.ref.chunk) continue;
    if (source.ref.chunk < next.ref.chunk + next.chunks && next.ref.chunk < source.ref.chunk + next.chunks) return kNoWork;
  }
  return index;
}

class Fuser {
 public:
  explicit Fuser(const Schedule& schedule) : schedule_(schedule) {}

  Program run() {
    int peers = 0;
    for (const Step& step : schedule_.steps) peers = std::max(peers, step.peer + 1);
    sender_.assign(static_cast<size_t>(peers) * kChannels, kNone);
    receiver_ = sender_;
    for (uint32_t i = 0; i < schedule_.steps.size(); ++i) place(i);
    return assemble();
  }

 private:
  struct Group {
    uint32_t head, tail;     // steps
    bool awaited = false;    // another work depends on it
    bool overtaken = false;  // a lane it receives on has been used by another work since
  };

  static size_t lane(const Step& step) { return static_cast<size_t>(step.peer) * kChannels + step.channel; }

  void place(uint32_t index) {
    const Step& step = schedule_.steps[index];
    uint32_t work = kNone;
    if (sends(step)) work = send_to_join(index);
    if (accumulates(step)) work = combine_to_join(index);
    if (work == kNone) {
      work = static_cast<uint32_t>(groups_.size());
      groups_.push_back({index, index});
    }
    for (uint32_t dependency : schedule_.dependencies[index])
      if (work_of_[dependency] != work) groups_[work_of_[dependency]].awaited = true;
    groups_[work].tail = index;
    work_of_.push_back(work);
    if (sends(step)) {
      sender_[lane(step)] = work;
      open_sends_[{step.src.buffer, step.src.chunk, step.chunks}] = work;
    }
    if (receives(step)) {
      uint32_t& last = receiver_[lane(step)];
      if (last != kNone && last != work) groups_[last].overtaken = true;
      last = work;
    }
  }

  // A Send of the same run that waits for the same writers reads the same content: one payload. Sends only read, so joining
  // makes nobody wait longer than for both.
  uint32_t send_to_join(uint32_t index) const {
    const Step& step = schedule_.steps[index];
    const auto it = open_sends_.find({step.src.buffer, step.src.chunk, step.chunks});
    if (it == open_sends_.end() || sender_[lane(step)] == it->second) return kNone;
    const uint32_t head = groups_[it->second].head;
    return schedule_.dependencies[head] == schedule_.dependencies[index] ? it->second : kNone;
  }

  // The work that wrote exactly this run last, if joining it is safe.
  uint32_t combine_to_join(uint32_t index) const {
    const Step& step = schedule_.steps[index];
    const std::vector<uint32_t>& dependencies = schedule_.dependencies[index];
    for (uint32_t dependency : dependencies) {
      const uint32_t work = work_of_[dependency];
      const Step& tail = schedule_.steps[dependency];
      if (groups_[work].tail == dependency && !sends(tail) && same_run(tail, tail.dst, step, step.dst))
        return joins_combine(step, dependencies, work) ? work : kNone;
    }
    return kNone;
  }

  bool joins_combine(const Step& step, const std::vector<uint32_t>& dependencies, uint32_t work) const {
    const Group& group = groups_[work];
    // Nobody reads the chain's result in between or waits for its sources: nothing that happens here depends on the chain.
    // Nothing that a peer does may depend on the chain's messages either: no later message on their lanes has been used.
    if (group.awaited || group.overtaken) return false;
    // Two messages of one lane cannot lie there at the same time if the lane holds one.
    if (receives(step) && receiver_[lane(step)] == work) return false;
    // A source that overlaps the result must be read after it was made.
    const bool local = step.action == Action::Reduce;
    if (local && step.src.buffer == step.dst.buffer && step.src.chunk < step.dst.chunk + step.chunks &&
        step.dst.chunk < step.src.chunk + step.chunks)
      return false;
    // Whatever else the step waits for was under way before the chain began.
    return std::all_of(dependencies.begin(), dependencies.end(),
                       [&](uint32_t dependency) { return work_of_[dependency] <= work; });
  }

  Program assemble() const {
    Program program;
    program.chunks = schedule_.chunks;
    program.scratch_copies = schedule_.scratch_copies;
    program.largest_message = schedule_.largest_message;
    add_works(program);
    add_edges(program);
    add_lanes(program);
    return program;
  }

  void add_works(Program& program) const {
    for (const Group& group : groups_) {
      const Step& head = schedule_.steps[group.head];
      const bool send = sends(head);
      program.works.push_back({send ? Work::Kind::Send : Work::Kind::Combine, send ? head.src : head.dst, head.chunks, 0,
                               accumulates(head), 0, 0, 0});
    }
    for (uint32_t work : work_of_) ++program.works[work].count;
    uint32_t sources = 0, targets = 0;
    std::vector<uint32_t> next;
    for (Work& work : program.works) {
      uint32_t& total = work.kind == Work::Kind::Send ? targets : sources;
      work.first = total;
      next.push_back(total);
      total += work.count;
    }
    program.sources.resize(sources);
    program.targets.resize(targets);
    for (uint32_t i = 0; i < work_of_.size(); ++i) {
      const Step& step = schedule_.steps[i];
      uint32_t& slot = next[work_of_[i]];
      if (sends(step)) {
        program.targets[slot++] = {step.peer, step.channel, step.message};
        continue;
      }
      if (accumulates(step) && i == groups_[work_of_[i]].head) program.sources[slot++] = {-1, 0, 0, step.dst};
      program.sources[slot++] =
          receives(step) ? Source{step.peer, step.channel, step.message, {}} : Source{-1, 0, 0, step.src};
    }
  }

  void add_edges(Program& program) const {
    std::vector<uint64_t> edges;  // dependency, then dependent
    for (uint32_t i = 0; i < work_of_.size(); ++i)
      for (uint32_t dependency : schedule_.dependencies[i])
        if (work_of_[dependency] != work_of_[i]) edges.push_back(uint64_t{work_of_[dependency]} << 32 | work_of_[i]);
    std::sort(edges.begin(), edges.end());
    edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
    for (uint64_t edge : edges) {
      Work& from = program.works[edge >> 32];
      const uint32_t to = static_cast<uint32_t>(edge);
      assert(edge >> 32 < to);
      if (from.dependents++ == 0) from.first_dependent = static_cast<uint32_t>(program.dependents.size());
      program.dependents.push_back(to);
      ++program.works[to].dependencies;
    }
  }

  void add_lanes(Program& program) const {
    std::map<size_t, Lane> lanes;
    for (const Step& step : schedule_.steps) {
      if (step.peer < 0) continue;
      Lane& entry = lanes.try_emplace(lane(step), Lane{step.peer, step.channel, 0, 0}).first->second;
      ++(sends(step) ? entry.sends : entry.receives);
    }
    for (const auto& [key, entry] : lanes) program.lanes.push_back(entry);
  }

  struct Run {
    Buffer buffer;
    uint32_t chunk, chunks;
    auto operator<=>(const Run&) const = default;
  };

  const Schedule& schedule_;
  std::vector<Group> groups_;                // in program order of their heads: the works
  std::vector<uint32_t> work_of_;            // per step
  std::vector<uint32_t> sender_, receiver_;  // per lane: the work that used it last
  std::map<Run, uint32_t> open_sends_;       // the last Send of each run
};

}  // namespace

Program fuse(const Schedule& schedule) {
  Program program = Fuser(schedule).run();
  for (Work& work : program.works) {
    if (work.kind == Work::Kind::Send) continue;
    work.into_send = into_send(program, work);
    work.into_copy = into_copy(program, work);
  }
  return program;
}

}  // namespace tutti

// races: walks the works in program order and remembers per chunk the last writer and the readers since.
//
// If each work is ordered after those that touched its chunks last, all pairs are, since order is transitive. The pairs that
// are asked for are nearly always direct dependencies, so the walk back through the program is rare and the whole is linear.
#include "lib/sched/races.h"

namespace tutti {
namespace {

constexpr uint32_t kNone = ~0u;

class Races {
 public:
  Races(const Program& program, bool in_place) : program_(program), in_place_(in_place) {
    for (auto& memory : touches_) memory.resize(program.chunks);
    touches_[static_cast<int>(Buffer::Scratch)].resize(size_t{program.chunks} * program.scratch_copies);
    dependencies_.resize(program.works.size());
    for (uint32_t i = 0; i < program.works.size(); ++i)
      for (uint32_t k = 0; k < program.works[i].dependents; ++k)
        dependencies_[program.dependents[program.works[i].first_dependent + k]].push_back(i);
    direct_.assign(program.works.size(), kNone);
    visited_.assign(program.works.size(), 0);
  }

  std::optional<Race> find() {
    for (uint32_t i = 0; i < program_.works.size(); ++i) {
      const Work& work = program_.works[i];
      for (uint32_t dependency : dependencies_[i]) direct_[dependency] = i;
      if (work.kind == Work::Kind::Send) {
        read(i, work.ref, work.chunks);
      } else {
        for (uint32_t k = work.first; k < work.first + work.count; ++k)
          if (program_.sources[k].peer < 0) read(i, program_.sources[k].ref, work.chunks);
        write(i, work.ref, work.chunks);
      }
      if (race_) break;
    }
    return race_;
  }

 private:
  struct Touch {
    uint32_t writer = kNone;
    std::vector<uint32_t> readers;
  };

  Buffer memory(Ref ref) const { return in_place_ && ref.buffer == Buffer::Input ? Buffer::Output : ref.buffer; }

  void read(uint32_t work, Ref ref, uint32_t chunks) {
    for (uint32_t c = ref.chunk; c < ref.chunk + chunks; ++c) {
      Touch& touch = touches_[static_cast<int>(memory(ref))][c];
      if (touch.writer != kNone) require(touch.writer, work, ref, c);
      touch.readers.push_back(work);
    }
  }

  void write(uint32_t work, Ref ref, uint32_t chunks) {
    for (uint32_t c = ref.chunk; c < ref.chunk + chunks; ++c) {
      Touch& touch = touches_[static_cast<int>(memory(ref))][c];
      for (uint32_t reader : touch.readers) require(reader, work, ref, c);
      if (touch.readers.empty() && touch.writer != kNone) require(touch.writer, work, ref, c);
      touch.writer = work;
      touch.readers.clear();
    }
  }

  void require(uint32_t earlier, uint32_t later, Ref ref, uint32_t chunk) {
    if (!race_ && !ordered(earlier, later)) race_ = Race{earlier, later, memory(ref), chunk};
  }

  bool ordered(uint32_t earlier, uint32_t later) {
    if (direct_[earlier] == later || earlier == later) return true;
    stack_ = dependencies_[later];
    for (++walk_; !stack_.empty();) {
      const uint32_t work = stack_.back();
      stack_.pop_back();
      if (work == earlier) return true;
      if (work < earlier || visited_[work] == walk_) continue;
      visited_[work] = walk_;
      stack_.insert(stack_.end(), dependencies_[work].begin(), dependencies_[work].end());
    }
    return false;
  }

  const Program& program_;
  const bool in_place_;
  std::vector<Touch> touches_[3];
  std::vector<std::vector<uint32_t>> dependencies_;
  std::vector<uint32_t> direct_;   // per work: the last work that was seen to depend on it directly
  std::vector<uint32_t> visited_;  // per work: the last walk that came by
  std::vector<uint32_t> stack_;
  uint32_t walk_ = 0;
  std::optional<Race> race_;
};

}  // namespace

std::optional<Race> find_race(const Program& program, bool in_place) {
  return Races(program, in_place).find();
}

}  // namespace tutti

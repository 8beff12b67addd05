// check: see check.h. Three passes: each program alone (programs.h), messages between ranks, then the run itself.
//
// Works of all ranks are numbered through (base_[rank] + index). A message is a slot: slots of one lane are neighbours, in
// the order of their numbers. The run keeps a stack of works that may have become able to act and ends when it is empty.
#include "lib/sched/check.h"

#include <algorithm>
#include <array>

#include "lib/sched/contributions.h"
#include "lib/sched/programs.h"

namespace tutti {
namespace {

constexpr uint32_t kNone = ~0u;

// What a chunk holds: contributions of some ranks to one chunk of their Input. 0: nothing was ever written.
using Value = uint64_t;
Value value_of(uint32_t origin, Contributions::Set set) {
  return (uint64_t{origin} << 32 | set) + 1;
}
uint32_t origin_of(Value value) {
  return static_cast<uint32_t>((value - 1) >> 32);
}
Contributions::Set set_of(Value value) {
  return static_cast<Contributions::Set>(value - 1);
}

class Checker {
 public:
  Checker(const Claim& claim, std::span<const Program> programs)
      : claim_(claim), programs_(claim, programs), ranks_(programs_.ranks()), chunks_(programs_.chunks()), sets_(ranks_) {
    base_.push_back(0);
    for (const Program& program : programs) {
      base_.push_back(base_.back() + static_cast<uint32_t>(program.works.size()));
      rank_of_.resize(base_.back(), static_cast<uint16_t>(base_.size() - 2));
    }
  }

  Status run() {
    TUTTI_TRY(programs_.check_each());
    TUTTI_TRY(check_messages());
    TUTTI_TRY(execute());
    return check_result();
  }

 private:
  struct Slot {
    uint32_t sender = kNone, receiver = kNone;  // works, numbered through
    bool first = false;                         // of its lane
    bool posted = false, consumed = false;
  };

  const Program& program(int rank) const { return programs_[rank]; }
  template <typename... Args>
  Status wrong(int rank, const Work& work, const Args&... args) const {
    return programs_.wrong(rank, work, args...);
  }
  uint32_t id(int rank, const Work& work) const {
    return base_[static_cast<size_t>(rank)] + static_cast<uint32_t>(&work - program(rank).works.data());
  }
  int rank_of(uint32_t id) const { return static_cast<int>(rank_of_[id]); }
  const Work& work_of(uint32_t id) const {
    const int rank = rank_of(id);
    return program(rank).works[id - base_[static_cast<size_t>(rank)]];
  }

  // ---- messages

  size_t lane(int receiver, int sender, uint8_t channel) const {
    return (static_cast<size_t>(receiver) * static_cast<size_t>(ranks_) + static_cast<size_t>(sender)) * kChannels + channel;
  }

  Status check_messages() {
    lanes_.assign(static_cast<size_t>(ranks_) * static_cast<size_t>(ranks_) * kChannels + 1, 0);
    for (int rank = 0; rank < ranks_; ++rank)
      for (const Work& work : program(rank).works)
        for (uint32_t k = work.first; work.kind == Work::Kind::Combine && k < work.first + work.count; ++k) {
          const Source& source = program(rank).sources[k];
          if (source.peer >= 0) ++lanes_[lane(rank, source.peer, source.channel) + 1];
        }
    for (size_t i = 1; i < lanes_.size(); ++i) lanes_[i] += lanes_[i - 1];
    slots_.resize(lanes_.back());
    TUTTI_TRY(number_messages());
    for (uint32_t i = 0; i < slots_.size(); ++i)
      if (slots_[i].sender == kNone)
        return wrong(rank_of(slots_[i].receiver), work_of(slots_[i].receiver), "waits for a message that nobody sends");
    for (int rank = 0; rank < ranks_; ++rank) TUTTI_TRY(programs_.check_lanes(rank));
    return {};
  }

  Status number_messages() {
    for (int rank = 0; rank < ranks_; ++rank)
      for (const Work& work : program(rank).works)
        for (uint32_t k = work.first; work.kind == Work::Kind::Combine && k < work.first + work.count; ++k) {
          const Source& source = program(rank).sources[k];
          if (source.peer < 0) continue;
          const size_t where = lane(rank, source.peer, source.channel);
          if (source.message >= lanes_[where + 1] - lanes_[where] ||
              slots_[lanes_[where] + source.message].receiver != kNone)
            return wrong(rank, work, "message ", source.message, " from rank ", source.peer, " is misnumbered");
          Slot& slot = slots_[lanes_[where] + source.message];
          slot.receiver = id(rank, work);
          slot.first = source.message == 0;
        }
    for (int rank = 0; rank < ranks_; ++rank)
      for (const Work& work : program(rank).works)
        for (uint32_t k = work.first; work.kind == Work::Kind::Send && k < work.first + work.count; ++k) {
          const Target& target = program(rank).targets[k];
          const size_t where = lane(target.peer, rank, target.channel);
          if (target.message >= lanes_[where + 1] - lanes_[where])
            return wrong(rank, work, "message ", target.message, " to rank ", target.peer, " is never received");
          Slot& slot = slots_[lanes_[where] + target.message];
          if (slot.sender != kNone)
            return wrong(rank, work, "message ", target.message, " to rank ", target.peer, " is misnumbered");
          slot.sender = id(rank, work);
          const Work& receiver = work_of(slot.receiver);
          if (receiver.chunks != work.chunks)
            return wrong(rank, work, "rank ", target.peer, " receives ", receiver.chunks, " chunks, sent are ", work.chunks);
          if (!programs_.same_size(work.ref.chunk, receiver.ref.chunk))
            return wrong(rank, work, "rank ", target.peer, " receives chunk ", work.ref.chunk, " as chunk ",
                         receiver.ref.chunk, " of another size");
        }
    return {};
  }

  // ---- the run

  Status execute() {
    prepare();
    while (!able_.empty()) {
      const uint32_t next = able_.back();
      able_.pop_back();
      const int rank = rank_of(next);
      const Work& work = work_of(next);
      if (work.kind == Work::Kind::Send) {
        for (uint32_t k = work.first; k < work.first + work.count; ++k) {
          const Target& target = program(rank).targets[k];
          post(lanes_[lane(target.peer, rank, target.channel)] + target.message);
        }
      } else {
        TUTTI_TRY(consume(rank, work));
      }
    }
    return left_ == 0 ? Status{} : deadlock();
  }

  void prepare() {
    left_ = base_.back();
    waiting_.resize(left_);
    open_.resize(left_);
    skips_scratch_.resize(left_);
    for (int rank = 0; rank < ranks_; ++rank) {
      const Program& mine = program(rank);
      for (const Work& work : mine.works) {
        waiting_[id(rank, work)] = work.dependencies;
        for (uint32_t k = work.first; k < work.first + work.count; ++k)
          open_[id(rank, work)] += work.kind == Work::Kind::Send || mine.sources[k].peer >= 0;
        if (work.dependencies == 0) able_.push_back(id(rank, work));
        if (work.into_copy != kNoWork) skips_scratch_[id(rank, mine.works[work.into_copy])] = true;
      }
      values_.emplace_back();
      for (Buffer buffer : {Buffer::Input, Buffer::Output, Buffer::Scratch})
        values_.back()[static_cast<int>(buffer)].resize(size_t{chunks_} *
                                                        (buffer == Buffer::Scratch ? mine.scratch_copies : 1));
      for (uint32_t c = 0; c < chunks_; ++c)
        if (has_input(claim_.collective, claim_.root, rank, programs_.block_of(c)))
          values_.back()[0][c] = value_of(c, static_cast<Contributions::Set>(rank));
    }
  }

  // Puts a message into its lane if its sender is able and the message before it was consumed.
  void post(uint32_t index) {
    Slot& slot = slots_[index];
    if (slot.posted || waiting_[slot.sender] > 0 || (!slot.first && !slots_[index - 1].consumed)) return;
    slot.posted = true;
    if (--open_[slot.receiver] == 0 && waiting_[slot.receiver] == 0) able_.push_back(slot.receiver);
  }

  Status consume(int rank, const Work& work) {
    const uint32_t me = id(rank, work);
    if (open_[me] > 0) return {};  // messages are missing, or it is done already
    open_[me] = kNone;
    const Program& mine = program(rank);
    result_.assign(work.chunks, 0);
    for (uint32_t k = work.first; k < work.first + work.count; ++k) TUTTI_TRY(add(rank, work, mine.sources[k]));
    for (uint32_t i = 0; i < work.chunks; ++i) {
      TUTTI_TRY(check_block(rank, work, work.ref.chunk + i, result_[i]));
      value(rank, work.ref, i) = result_[i];
      if (programs_.in_place(rank) && work.ref.buffer == Buffer::Output) value(rank, input(work.ref.chunk), i) = 0;
    }
    // A result that was made where its copy goes is not in scratch.
    if (skips_scratch_[me])
      for (uint32_t i = 0; i < work.chunks; ++i) value(rank, mine.sources[work.first].ref, i) = 0;
    complete(me);
    for (uint32_t k = work.first; k < work.first + work.count; ++k) {
      const Source& source = mine.sources[k];
      if (source.peer < 0) continue;
      const size_t where = lane(rank, source.peer, source.channel);
      const uint32_t slot = lanes_[where] + source.message;
      slots_[slot].consumed = true;
      if (--open_[slots_[slot].sender] == 0) complete(slots_[slot].sender);
      if (slot + 1 < lanes_[where + 1]) post(slot + 1);
    }
    return {};
  }

  Value& value(int rank, Ref ref, uint32_t offset) {
    return values_[static_cast<size_t>(rank)][static_cast<int>(ref.buffer)][ref.chunk + offset];
  }

  // result_ = result_ + source. A message is read in its sender's memory, which a Send that is not done protects.
  Status add(int rank, const Work& work, const Source& source) {
    int owner = rank;
    Ref ref = source.ref;
    if (source.peer >= 0) {
      owner = source.peer;
      ref = work_of(slots_[lanes_[lane(rank, source.peer, source.channel)] + source.message].sender).ref;
    }
    for (uint32_t i = 0; i < work.chunks; ++i) {
      const Value more = value(owner, ref, i);
      if (more == 0)
        return wrong(rank, work, "reads ", name_of(ref.buffer), " chunk ", ref.chunk + i, " of rank ", owner,
                     ", which is undefined");
      Value& sum = result_[i];
      if (sum == 0) {
        sum = more;
        continue;
      }
      if (origin_of(sum) != origin_of(more))
        return wrong(rank, work, "adds chunk ", origin_of(more), " to chunk ", origin_of(sum));
      const Contributions::Set set = sets_.unite(set_of(sum), set_of(more));
      if (set == Contributions::kOverlap)
        return wrong(rank, work, "counts rank ", sets_.shared(set_of(sum), set_of(more)), " twice in chunk ",
                     origin_of(sum));
      sum = value_of(origin_of(sum), set);
    }
    return {};
  }

  // With blocks of different sizes a block of AlltoAll fits only where it ends: Output block s on rank d has the size of
  // what s has for d.
  Status check_block(int rank, const Work& work, uint32_t chunk, Value result) const {
    if (claim_.uniform || claim_.collective != Collective::AlltoAll) return {};
    if (work.ref.buffer == Buffer::Output && programs_.block_of(origin_of(result)) == static_cast<uint32_t>(rank) &&
        programs_.block_of(chunk) == set_of(result))
      return {};
    return wrong(rank, work, "puts chunk ", origin_of(result), " of rank ", set_of(result),
                 " where blocks have another size");
  }

  void complete(uint32_t id) {
    --left_;
    const int rank = rank_of(id);
    const Work& work = work_of(id);
    for (uint32_t k = 0; k < work.dependents; ++k) {
      const uint32_t next = base_[static_cast<size_t>(rank)] + program(rank).dependents[work.first_dependent + k];
      if (--waiting_[next] == 0) able_.push_back(next);
    }
  }

  // Names the first works that wait for a message or for their readers; the others wait for these.
  Status deadlock() const {
    std::string text;
    int named = 0;
    for (int rank = 0; rank < ranks_ && named < 4; ++rank)
      for (const Work& work : program(rank).works) {
        const uint32_t open = open_[id(rank, work)];
        if (waiting_[id(rank, work)] > 0 || open == 0 || open == kNone) continue;
        text += concat(named == 0 ? " " : "; ", "rank ", rank, " work ", &work - program(rank).works.data(), " (",
                       text_of(program(rank), work), ")");
        ++named;
        break;
      }
    return fail(Code::InternalError, name_of(claim_.collective), ": deadlock with ", left_, " works left; waiting:", text);
  }

  Status check_result() {
    for (int rank = 0; rank < ranks_; ++rank)
      for (uint32_t c = 0; c < chunks_; ++c) {
        if (!has_output(claim_.collective, claim_.root, rank, programs_.block_of(c))) continue;
        const Value found = value(rank, output(c), 0);
        const auto bad = [&](const auto&... args) {
          return fail(Code::InternalError, name_of(claim_.collective), " rank ", rank, " output chunk ", c, ": ", args...);
        };
        if (found == 0) return bad("was never written");
        const bool exchange = claim_.collective == Collective::AlltoAll;
        const uint32_t origin = exchange ? static_cast<uint32_t>(rank) * programs_.pieces() + c % programs_.pieces() : c;
        if (origin_of(found) != origin) return bad("holds chunk ", origin_of(found));
        if (reduces(claim_.collective)) {
          if (!sets_.is_all(set_of(found))) return bad("lacks rank ", sets_.missing(set_of(found)));
        } else {
          const int from = has_root(claim_.collective) && claim_.collective != Collective::Gather
                               ? claim_.root
                               : static_cast<int>(programs_.block_of(c));
          if (set_of(found) != static_cast<Contributions::Set>(from))
            return bad("is of rank ", set_of(found), ", not ", from);
        }
      }
    return {};
  }

  const Claim& claim_;
  const Programs programs_;
  const int ranks_;
  const uint32_t chunks_;
  Contributions sets_;
  std::vector<uint32_t> base_;
  std::vector<uint16_t> rank_of_;  // per work
  std::vector<uint32_t> lanes_;    // [receiver][sender][channel]: first slot
  std::vector<Slot> slots_;
  std::vector<uint32_t> waiting_;  // per work: dependencies not yet done
  std::vector<uint32_t> open_;     // per work: Combine: messages not there; Send: messages not consumed
  std::vector<uint32_t> able_;
  std::vector<bool> skips_scratch_;  // per work: it is the into_copy of another
  std::vector<std::array<std::vector<Value>, 3>> values_;
  std::vector<Value> result_;
  uint32_t left_ = 0;
};

}  // namespace

Status check(const Claim& claim, std::span<const Program> programs) {
  return Checker(claim, programs).run();
}

}  // namespace tutti

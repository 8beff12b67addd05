// check: see check.h. Four passes: each program alone, races within a rank, messages between ranks, then the run itself.
//
// Works of all ranks are numbered through (base_[rank] + index). A message is a slot: slots of one lane are neighbours, in
// the order of their numbers. The run keeps a stack of works that may have become able to act and ends when it is empty.
#include "lib/sched/check.h"

#include <algorithm>
#include <array>
#include <optional>

#include "lib/sched/contributions.h"
#include "lib/sched/print.h"
#include "lib/sched/races.h"

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
      : claim_(claim), programs_(programs), ranks_(static_cast<int>(programs.size())), sets_(ranks_) {
    base_.push_back(0);
    for (const Program& program : programs) {
      base_.push_back(base_.back() + static_cast<uint32_t>(program.works.size()));
      rank_of_.resize(base_.back(), static_cast<uint16_t>(base_.size() - 2));
    }
  }

  Status run() {
    TUTTI_TRY(check_shapes());
    for (int rank = 0; rank < ranks_; ++rank) {
      for (const Work& work : program(rank).works) TUTTI_TRY(check_work(rank, work));
      TUTTI_TRY(check_order(rank));
      TUTTI_TRY(check_races(rank));
    }
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

  const Program& program(int rank) const { return programs_[static_cast<size_t>(rank)]; }
  uint32_t id(int rank, const Work& work) const {
    return base_[static_cast<size_t>(rank)] + static_cast<uint32_t>(&work - program(rank).works.data());
  }
  int rank_of(uint32_t id) const { return static_cast<int>(rank_of_[id]); }
  const Work& work_of(uint32_t id) const {
    const int rank = rank_of(id);
    return program(rank).works[id - base_[static_cast<size_t>(rank)]];
  }
  uint32_t pieces() const { return chunks_ / blocks_of(claim_.collective, ranks_); }
  uint32_t block_of(uint32_t chunk) const { return chunk / pieces(); }

  template <typename... Args>
  Status wrong(int rank, const Work& work, const Args&... args) const {
    return fail(Code::InternalError, name_of(claim_.collective), " rank ", rank, " work ",
                &work - program(rank).works.data(), " (", text_of(program(rank), work), "): ", args...);
  }

  // ---- each program alone

  Status check_shapes() {
    chunks_ = programs_.empty() ? 0 : programs_[0].chunks;
    const uint32_t blocks = blocks_of(claim_.collective, ranks_);
    if (chunks_ == 0 || chunks_ % blocks != 0)
      return fail(Code::InternalError, chunks_, " chunks cannot be dealt to ", blocks, " blocks");
    for (int rank = 1; rank < ranks_; ++rank) {
      if (program(rank).chunks != chunks_)
        return fail(Code::InternalError, "rank ", rank, " cuts ", program(rank).chunks, " chunks, rank 0 ", chunks_);
      if (program(rank).largest_message != programs_[0].largest_message)
        return fail(Code::InternalError, "rank ", rank, " has largest message ", program(rank).largest_message, ", rank 0 ",
                    programs_[0].largest_message);
    }
    return {};
  }

  bool fits(const Program& program, Ref ref, uint32_t chunks) const {
    const uint64_t size = ref.buffer == Buffer::Scratch ? uint64_t{program.scratch_copies} * chunks_ : chunks_;
    return uint64_t{ref.chunk} + chunks <= size;
  }

  // Whether chunks a and b are cut to the same size by every count.
  bool same_size(uint32_t a, uint32_t b) const {
    if (claim_.collective != Collective::AlltoAll) return a % chunks_ == b % chunks_;
    return a % pieces() == b % pieces();  // without uniform, check_block() adds what depends on who talks to whom
  }

  Status check_work(int rank, const Work& work) const {
    const Program& mine = program(rank);
    const bool send = work.kind == Work::Kind::Send;
    if (work.chunks == 0 || work.count == 0) return wrong(rank, work, "does nothing");
    if (!fits(mine, work.ref, work.chunks))
      return wrong(rank, work, "exceeds ", name_of(work.ref.buffer), " of ", chunks_, " chunks",
                   work.ref.buffer == Buffer::Scratch ? concat(" times ", mine.scratch_copies) : "");
    bool message = send;
    for (uint32_t k = work.first; !send && k < work.first + work.count; ++k) {
      const Source& source = mine.sources[k];
      if (source.peer >= 0) {
        message = true;
        continue;
      }
      if (!fits(mine, source.ref, work.chunks)) return wrong(rank, work, "source exceeds ", name_of(source.ref.buffer));
      if (!same_size(source.ref.chunk, work.ref.chunk))
        return wrong(rank, work, "chunks ", source.ref.chunk, " and ", work.ref.chunk, " differ in size");
      if (memory(rank, source.ref) == memory(rank, work.ref) && source.ref.chunk != work.ref.chunk &&
          source.ref.chunk < work.ref.chunk + work.chunks && work.ref.chunk < source.ref.chunk + work.chunks)
        return wrong(rank, work, "source and result overlap in part");
    }
    if (message && work.chunks > mine.largest_message)
      return wrong(rank, work, work.chunks, " chunks are longer than the largest message, ", mine.largest_message);
    if (!send && work.count > 1 && !reduces(claim_.collective))
      return wrong(rank, work, "reduces where nothing is to be reduced");
    return send ? Status{} : check_may_write(rank, work);
  }

  Status check_may_write(int rank, const Work& work) const {
    if (work.ref.buffer == Buffer::Input) return wrong(rank, work, "writes to input");
    for (uint32_t c = work.ref.chunk; work.ref.buffer == Buffer::Output && c < work.ref.chunk + work.chunks; ++c)
      if (!has_output(claim_.collective, claim_.root, rank, block_of(c)))
        return wrong(rank, work, "writes output chunk ", c, ", which this rank has not");
    return {};
  }

  // Dependents come later, and every work counts its dependencies right.
  Status check_order(int rank) const {
    const Program& mine = program(rank);
    std::vector<uint32_t> counted(mine.works.size());
    for (uint32_t i = 0; i < mine.works.size(); ++i)
      for (uint32_t k = 0; k < mine.works[i].dependents; ++k) {
        const uint32_t dependent = mine.dependents[mine.works[i].first_dependent + k];
        if (dependent <= i || dependent >= mine.works.size())
          return wrong(rank, mine.works[i], "dependent ", dependent, " is not later");
        ++counted[dependent];
      }
    for (uint32_t i = 0; i < mine.works.size(); ++i)
      if (counted[i] != mine.works[i].dependencies)
        return wrong(rank, mine.works[i], "counts ", mine.works[i].dependencies, " dependencies, has ", counted[i]);
    return {};
  }

  bool in_place(int rank) const {
    return claim_.in_place_of.empty() ? claim_.in_place : claim_.in_place_of[static_cast<size_t>(rank)];
  }
  // Which memory a run lies in: Input and Output are one when in place.
  Buffer memory(int rank, Ref ref) const {
    return in_place(rank) && ref.buffer == Buffer::Input ? Buffer::Output : ref.buffer;
  }

  Status check_races(int rank) const {
    const Program& mine = program(rank);
    const std::optional<Race> race = find_race(mine, in_place(rank));
    if (!race) return {};
    return wrong(rank, mine.works[race->later], "races with work ", race->earlier, " (",
                 text_of(mine, mine.works[race->earlier]), ") on ", name_of(race->memory), " chunk ", race->chunk);
  }

  // ---- messages

  size_t lane(int receiver, int sender, uint8_t channel) const {
    return (static_cast<size_t>(receiver) * static_cast<size_t>(ranks_) + static_cast<size_t>(sender)) * kChannels + channel;
  }

  Status check_messages() {
    lanes_.assign(static_cast<size_t>(ranks_) * static_cast<size_t>(ranks_) * kChannels + 1, 0);
    for (int rank = 0; rank < ranks_; ++rank)
      for (const Work& work : program(rank).works)
        for (uint32_t k = work.first; k < work.first + work.count; ++k) {
          const int peer = work.kind == Work::Kind::Send ? program(rank).targets[k].peer : program(rank).sources[k].peer;
          const uint8_t channel =
              work.kind == Work::Kind::Send ? program(rank).targets[k].channel : program(rank).sources[k].channel;
          if (work.kind == Work::Kind::Combine && peer < 0) continue;
          if (peer < 0 || peer >= ranks_ || peer == rank || channel >= kChannels)
            return wrong(rank, work, "no such peer or channel: ", peer, ".", int{channel});
          if (work.kind == Work::Kind::Combine) ++lanes_[lane(rank, peer, channel) + 1];
        }
    for (size_t i = 1; i < lanes_.size(); ++i) lanes_[i] += lanes_[i - 1];
    slots_.resize(lanes_.back());
    TUTTI_TRY(number_messages());
    for (uint32_t i = 0; i < slots_.size(); ++i)
      if (slots_[i].sender == kNone)
        return wrong(rank_of(slots_[i].receiver), work_of(slots_[i].receiver), "waits for a message that nobody sends");
    for (int rank = 0; rank < ranks_; ++rank) TUTTI_TRY(check_lanes(rank));
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
          if (!same_size(work.ref.chunk, receiver.ref.chunk))
            return wrong(rank, work, "rank ", target.peer, " receives chunk ", work.ref.chunk, " as chunk ",
                         receiver.ref.chunk, " of another size");
        }
    return {};
  }

  Status check_lanes(int rank) const {
    std::vector<uint32_t> sends(static_cast<size_t>(ranks_) * kChannels), receives(sends.size());
    for (const Target& target : program(rank).targets)
      ++sends[static_cast<size_t>(target.peer) * kChannels + target.channel];
    for (const Source& source : program(rank).sources)
      if (source.peer >= 0) ++receives[static_cast<size_t>(source.peer) * kChannels + source.channel];
    for (const Lane& entry : program(rank).lanes) {
      const size_t i = static_cast<size_t>(entry.peer) * kChannels + entry.channel;
      if (i >= sends.size() || sends[i] != entry.sends || receives[i] != entry.receives)
        return fail(Code::InternalError, "rank ", rank, ": totals of the lane to ", entry.peer, ".", int{entry.channel},
                    " are wrong");
      sends[i] = receives[i] = 0;
    }
    for (size_t i = 0; i < sends.size(); ++i)
      if (sends[i] + receives[i] > 0) return fail(Code::InternalError, "rank ", rank, ": no lane to ", i / kChannels);
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
    for (int rank = 0; rank < ranks_; ++rank) {
      const Program& mine = program(rank);
      for (const Work& work : mine.works) {
        waiting_[id(rank, work)] = work.dependencies;
        for (uint32_t k = work.first; k < work.first + work.count; ++k)
          open_[id(rank, work)] += work.kind == Work::Kind::Send || mine.sources[k].peer >= 0;
        if (work.dependencies == 0) able_.push_back(id(rank, work));
      }
      values_.emplace_back();
      for (Buffer buffer : {Buffer::Input, Buffer::Output, Buffer::Scratch})
        values_.back()[static_cast<int>(buffer)].resize(size_t{chunks_} *
                                                        (buffer == Buffer::Scratch ? mine.scratch_copies : 1));
      for (uint32_t c = 0; c < chunks_; ++c)
        if (has_input(claim_.collective, claim_.root, rank, block_of(c)))
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
      if (in_place(rank) && work.ref.buffer == Buffer::Output) value(rank, input(work.ref.chunk), i) = 0;
    }
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
    if (work.ref.buffer == Buffer::Output && block_of(origin_of(result)) == static_cast<uint32_t>(rank) &&
        block_of(chunk) == set_of(result))
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
        if (!has_output(claim_.collective, claim_.root, rank, block_of(c))) continue;
        const Value found = value(rank, output(c), 0);
        const auto bad = [&](const auto&... args) {
          return fail(Code::InternalError, name_of(claim_.collective), " rank ", rank, " output chunk ", c, ": ", args...);
        };
        if (found == 0) return bad("was never written");
        const bool exchange = claim_.collective == Collective::AlltoAll;
        const uint32_t origin = exchange ? static_cast<uint32_t>(rank) * pieces() + c % pieces() : c;
        if (origin_of(found) != origin) return bad("holds chunk ", origin_of(found));
        if (reduces(claim_.collective)) {
          if (!sets_.is_all(set_of(found))) return bad("lacks rank ", sets_.missing(set_of(found)));
        } else {
          const int from = has_root(claim_.collective) && claim_.collective != Collective::Gather
                               ? claim_.root
                               : static_cast<int>(block_of(c));
          if (set_of(found) != static_cast<Contributions::Set>(from))
            return bad("is of rank ", set_of(found), ", not ", from);
        }
      }
    return {};
  }

  const Claim& claim_;
  std::span<const Program> programs_;
  const int ranks_;
  uint32_t chunks_ = 0;
  Contributions sets_;
  std::vector<uint32_t> base_;
  std::vector<uint16_t> rank_of_;  // per work
  std::vector<uint32_t> lanes_;    // [receiver][sender][channel]: first slot
  std::vector<Slot> slots_;
  std::vector<uint32_t> waiting_;  // per work: dependencies not yet done
  std::vector<uint32_t> open_;     // per work: Combine: messages not there; Send: messages not consumed
  std::vector<uint32_t> able_;
  std::vector<std::array<std::vector<Value>, 3>> values_;
  std::vector<Value> result_;
  uint32_t left_ = 0;
};

}  // namespace

Status check(const Claim& claim, std::span<const Program> programs) {
  return Checker(claim, programs).run();
}

}  // namespace tutti

// programs: see programs.h.
#include "lib/sched/programs.h"

#include <optional>
#include <vector>

#include "lib/sched/races.h"

namespace tutti {

Status Programs::check_each() const {
  TUTTI_TRY(check_shapes());
  for (int rank = 0; rank < ranks_; ++rank) {
    for (const Work& work : (*this)[rank].works) TUTTI_TRY(check_work(rank, work));
    TUTTI_TRY(check_order(rank));
    for (const Work& work : (*this)[rank].works) TUTTI_TRY(check_passes(rank, work));
    TUTTI_TRY(check_races(rank));
    TUTTI_TRY(check_peers(rank));
  }
  return {};
}

Status Programs::check_shapes() const {
  const uint32_t blocks = blocks_of(claim_.collective, ranks_);
  if (chunks_ == 0 || chunks_ % blocks != 0)
    return fail(Code::InternalError, chunks_, " chunks cannot be dealt to ", blocks, " blocks");
  for (int rank = 1; rank < ranks_; ++rank) {
    if ((*this)[rank].chunks != chunks_)
      return fail(Code::InternalError, "rank ", rank, " cuts ", (*this)[rank].chunks, " chunks, rank 0 ", chunks_);
    if ((*this)[rank].largest_message != programs_[0].largest_message)
      return fail(Code::InternalError, "rank ", rank, " has largest message ", (*this)[rank].largest_message, ", rank 0 ",
                  programs_[0].largest_message);
  }
  return {};
}

bool Programs::fits(const Program& program, Ref ref, uint32_t chunks) const {
  const uint64_t size = ref.buffer == Buffer::Scratch ? uint64_t{program.scratch_copies} * chunks_ : chunks_;
  return uint64_t{ref.chunk} + chunks <= size;
}

bool Programs::overlap_in_part(int rank, Ref a, Ref b, uint32_t chunks) const {
  return memory(rank, a) == memory(rank, b) && a.chunk != b.chunk && a.chunk < b.chunk + chunks && b.chunk < a.chunk + chunks;
}

// Which memory a run lies in: Input and Output are one when in place.
Buffer Programs::memory(int rank, Ref ref) const {
  return in_place(rank) && ref.buffer == Buffer::Input ? Buffer::Output : ref.buffer;
}

Status Programs::check_work(int rank, const Work& work) const {
  const Program& mine = (*this)[rank];
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
    if (overlap_in_part(rank, source.ref, work.ref, work.chunks)) return wrong(rank, work, "source and result overlap in part");
  }
  if (message && work.chunks > mine.largest_message)
    return wrong(rank, work, work.chunks, " chunks are longer than the largest message, ", mine.largest_message);
  if (!send && work.count > 1 && !reduces(claim_.collective))
    return wrong(rank, work, "reduces where nothing is to be reduced");
  return send ? Status{} : check_may_write(rank, work);
}

Status Programs::check_may_write(int rank, const Work& work) const {
  if (work.ref.buffer == Buffer::Input) return wrong(rank, work, "writes to input");
  for (uint32_t c = work.ref.chunk; work.ref.buffer == Buffer::Output && c < work.ref.chunk + work.chunks; ++c)
    if (!has_output(claim_.collective, claim_.root, rank, block_of(c)))
      return wrong(rank, work, "writes output chunk ", c, ", which this rank has not");
  return {};
}

// The works that may be done in one pass with this one. REQUIRES: check_order(). What becomes of scratch is checked by the run.
Status Programs::check_passes(int rank, const Work& work) const {
  const Program& mine = (*this)[rank];
  const auto is_dependent = [&](uint32_t index) {
    for (uint32_t k = work.first_dependent; k < work.first_dependent + work.dependents; ++k)
      if (mine.dependents[k] == index) return true;
    return false;
  };
  for (const uint32_t index : {work.into_send, work.into_copy})
    if (index != kNoWork && (work.kind == Work::Kind::Send || !is_dependent(index)))
      return wrong(rank, work, "cannot be done in one pass with work ", index, ", which does not wait for its result");
  if (work.into_send != kNoWork) {
    const Work& send = mine.works[work.into_send];
    if (send.kind != Work::Kind::Send || send.ref != work.ref || send.chunks != work.chunks)
      return wrong(rank, work, "work ", work.into_send, " does not send its result");
    if (send.dependencies != 1) return wrong(rank, work, "work ", work.into_send, ", which sends its result, waits for others, too");
  }
  if (work.into_copy != kNoWork) {
    const Work& copy = mine.works[work.into_copy];
    const bool copies = copy.kind == Work::Kind::Combine && copy.count == 1 && copy.chunks == work.chunks &&
                        mine.sources[copy.first].peer < 0 && mine.sources[copy.first].ref == work.ref;
    if (!copies) return wrong(rank, work, "work ", work.into_copy, " does not copy its result");
    if (work.ref.buffer != Buffer::Scratch || work.dependents != 1)
      return wrong(rank, work, "its result is for others than work ", work.into_copy, ", too");
    for (uint32_t k = work.first; k < work.first + work.count; ++k)
      if (mine.sources[k].peer < 0 && overlap_in_part(rank, mine.sources[k].ref, copy.ref, work.chunks))
        return wrong(rank, work, "a source and the place of the copy, work ", work.into_copy, ", overlap in part");
  }
  return {};
}

// Dependents come later, and every work counts its dependencies right.
Status Programs::check_order(int rank) const {
  const Program& mine = (*this)[rank];
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

Status Programs::check_races(int rank) const {
  const Program& mine = (*this)[rank];
  const std::optional<Race> race = find_race(mine, in_place(rank));
  if (!race) return {};
  return wrong(rank, mine.works[race->later], "races with work ", race->earlier, " (",
               text_of(mine, mine.works[race->earlier]), ") on ", name_of(race->memory), " chunk ", race->chunk);
}

// Every message has a peer and a channel.
Status Programs::check_peers(int rank) const {
  for (const Work& work : (*this)[rank].works)
    for (uint32_t k = work.first; k < work.first + work.count; ++k) {
      const bool send = work.kind == Work::Kind::Send;
      const int peer = send ? (*this)[rank].targets[k].peer : (*this)[rank].sources[k].peer;
      const uint8_t channel = send ? (*this)[rank].targets[k].channel : (*this)[rank].sources[k].channel;
      if (!send && peer < 0) continue;
      if (peer < 0 || peer >= ranks_ || peer == rank || channel >= kChannels)
        return wrong(rank, work, "no such peer or channel: ", peer, ".", int{channel});
    }
  return {};
}

Status Programs::check_lanes(int rank) const {
  std::vector<uint32_t> sends(static_cast<size_t>(ranks_) * kChannels), receives(sends.size());
  for (const Target& target : (*this)[rank].targets)
    ++sends[static_cast<size_t>(target.peer) * kChannels + target.channel];
  for (const Source& source : (*this)[rank].sources)
    if (source.peer >= 0) ++receives[static_cast<size_t>(source.peer) * kChannels + source.channel];
  for (const Lane& entry : (*this)[rank].lanes) {
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

}  // namespace tutti

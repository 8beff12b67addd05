// mover: see mover.h.
//
// The order of steps: by phase; in a phase sends, then receives; among those by chunk, then by peer. So runs of several senders to
// one place follow each other, and fuse.cc makes one pass of them. And each lane carries its chunks in their order.
#include "algorithms/mover.h"

#include <algorithm>
#include <tuple>

namespace tutti {

Ref Mover::ref(Rest rest, uint32_t chunk) {
  return rest == Rest::Input ? input(chunk) : rest == Rest::Output ? output(chunk) : scratch(chunk);
}

Mover::Mover(Builder& builder, uint32_t chunks, uint32_t longest)
    : builder_(builder), chunks_(chunks), longest_(longest), where_(chunks, Rest::Nowhere) {
  const Problem& problem = builder.problem();
  const uint32_t pieces = chunks / blocks_of(problem.collective, problem.ranks);
  for (uint32_t c = 0; c < chunks; ++c)
    if (has_input(problem.collective, problem.root, problem.rank, c / pieces)) where_[c] = Rest::Input;
}

void Mover::hop(uint32_t phase, uint32_t chunk, int from, int to, bool reduces) {
  const int me = builder_.problem().rank;
  if (from == to) return;
  if (from == me) runs_.push_back({phase, false, reduces, to, chunk, 1});
  if (to == me) runs_.push_back({phase, true, reduces, from, chunk, 1});
}

void Mover::join_runs() {
  const auto by_lane = [](const Run& run) { return std::tuple(run.phase, run.arrives, run.peer, run.reduces, run.chunk); };
  std::sort(runs_.begin(), runs_.end(), [&](const Run& a, const Run& b) { return by_lane(a) < by_lane(b); });
  std::vector<Run> joined;
  for (const Run& run : runs_) {
    if (!joined.empty()) {
      Run& last = joined.back();
      if (last.phase == run.phase && last.arrives == run.arrives && last.peer == run.peer && last.reduces == run.reduces &&
          last.chunk + last.chunks == run.chunk && last.chunks < longest_) {
        ++last.chunks;
        continue;
      }
    }
    joined.push_back(run);
  }
  const auto by_chunk = [](const Run& run) { return std::tuple(run.phase, run.arrives, run.chunk, run.peer); };
  std::sort(joined.begin(), joined.end(), [&](const Run& a, const Run& b) { return by_chunk(a) < by_chunk(b); });
  runs_ = std::move(joined);
}

bool Mover::has_output(uint32_t chunk) const {
  const Problem& problem = builder_.problem();
  const uint32_t pieces = chunks_ / blocks_of(problem.collective, problem.ranks);
  return tutti::has_output(problem.collective, problem.root, problem.rank, chunk / pieces);
}

Mover::Rest Mover::rest_for(const Run& run) const {
  for (uint32_t c = run.chunk; c < run.chunk + run.chunks; ++c)
    if (!has_output(c)) return Rest::Scratch;
  return Rest::Output;
}

// Copies those chunks of a run to `rest` that this rank has elsewhere.
void Mover::bring(uint32_t chunk, uint32_t chunks, Rest rest) {
  const uint32_t end = chunk + chunks;
  while (chunk < end) {
    uint32_t next = chunk + 1;
    while (next < end && where_[next] == where_[chunk]) ++next;
    const Rest from = where_[chunk];
    if (from != rest && from != Rest::Nowhere) {
      builder_.copy(ref(from, chunk), ref(rest, chunk), next - chunk);
      std::fill(where_.begin() + chunk, where_.begin() + next, rest);
    }
    chunk = next;
  }
}

void Mover::send(const Run& run) {
  const auto first = where_.begin() + run.chunk;
  if (std::any_of(first, first + run.chunks, [&](Rest rest) { return rest != *first; }))
    bring(run.chunk, run.chunks, rest_for(run));
  builder_.send(run.peer, ref(where_[run.chunk], run.chunk), run.chunks);
}

void Mover::receive(const Run& run) {
  const Rest rest = rest_for(run);
  if (run.reduces) {
    bring(run.chunk, run.chunks, rest);
    builder_.recv_reduce(run.peer, ref(rest, run.chunk), run.chunks);
  } else {
    builder_.recv(run.peer, ref(rest, run.chunk), run.chunks);
    std::fill(where_.begin() + run.chunk, where_.begin() + run.chunk + run.chunks, rest);
  }
}

void Mover::finish() {
  join_runs();
  bool uses_scratch = false;
  // What is sent rests where it came in, unless it is a run that has to be brought together.
  for (const Run& run : runs_) uses_scratch |= (run.arrives || run.chunks > 1) && rest_for(run) == Rest::Scratch;
  builder_.shape(chunks_, uses_scratch ? 1 : 0, longest_);
  for (const Run& run : runs_) run.arrives ? receive(run) : send(run);
  for (uint32_t c = 0; c < chunks_;) {
    uint32_t next = c + 1;
    while (next < chunks_ && has_output(next) == has_output(c)) ++next;
    if (has_output(c)) bring(c, next - c, Rest::Output);
    c = next;
  }
}

}  // namespace tutti

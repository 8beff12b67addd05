// print: see print.h. draw() times the works as if every message took one step and all else none.
#include "lib/sched/print.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "lib/base/status.h"

namespace tutti {
namespace {

std::string message_text(int peer, uint8_t channel, uint32_t message) {
  return channel == 0 ? concat(peer, "#", message) : concat(peer, ".", int{channel}, "#", message);
}

// Per work: the works it waits for.
std::vector<std::vector<uint32_t>> dependencies_of(const Program& program) {
  std::vector<std::vector<uint32_t>> dependencies(program.works.size());
  for (uint32_t i = 0; i < program.works.size(); ++i) {
    const Work& work = program.works[i];
    for (uint32_t k = 0; k < work.dependents; ++k) dependencies[program.dependents[work.first_dependent + k]].push_back(i);
  }
  return dependencies;
}

}  // namespace

// The longest chain of messages up to each work. Relaxed until nothing changes;
// a program that deadlocks stops growing at `limit`.
std::vector<std::vector<uint32_t>> steps_of(std::span<const Program> programs) {
  using Key = std::tuple<int, int, uint8_t, uint32_t>;  // from, to, channel, message
  std::map<Key, uint32_t> arrival;
  std::vector<std::vector<uint32_t>> done(programs.size());
  for (size_t rank = 0; rank < programs.size(); ++rank) done[rank].resize(programs[rank].works.size());
  uint32_t limit = 0;
  for (const Program& program : programs) limit += static_cast<uint32_t>(program.targets.size());
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t rank = 0; rank < programs.size(); ++rank) {
      const Program& program = programs[rank];
      std::vector<uint32_t> start(program.works.size());
      for (uint32_t i = 0; i < program.works.size(); ++i) {
        const Work& work = program.works[i];
        uint32_t step = start[i];
        for (uint32_t k = work.first; k < work.first + work.count; ++k) {
          if (work.kind == Work::Kind::Send) {
            const Target& target = program.targets[k];
            arrival[{static_cast<int>(rank), target.peer, target.channel, target.message}] = step + 1;
          } else if (const Source& source = program.sources[k]; source.peer >= 0) {
            const auto it = arrival.find({source.peer, static_cast<int>(rank), source.channel, source.message});
            if (it != arrival.end()) step = std::max(step, it->second);
          }
        }
        step = std::min(step, limit);
        if (done[rank][i] != step) changed = true;
        done[rank][i] = step;
        for (uint32_t k = 0; k < work.dependents; ++k) {
          uint32_t& next = start[program.dependents[work.first_dependent + k]];
          next = std::max(next, step);
        }
      }
    }
  }
  return done;
}

std::string text_of(Ref ref, uint32_t chunks) {
  return concat(name_of(ref.buffer), "[", ref.chunk, "..", ref.chunk + chunks, ")");
}

std::string text_of(const Program& program, const Work& work) {
  const bool send = work.kind == Work::Kind::Send;
  std::string text = concat(send ? "send " : "combine ", text_of(work.ref, work.chunks), send ? " to " : " = ");
  for (uint32_t k = 0; k < work.count; ++k) {
    if (k > 0) text += send ? ", " : " + ";
    if (send) {
      const Target& target = program.targets[work.first + k];
      text += message_text(target.peer, target.channel, target.message);
    } else {
      const Source& source = program.sources[work.first + k];
      text += source.peer < 0 ? text_of(source.ref, work.chunks)
                              : "recv " + message_text(source.peer, source.channel, source.message);
    }
  }
  return text;
}

std::string text_of(const Program& program) {
  std::string text = concat("chunks ", program.chunks, ", scratch copies ", program.scratch_copies, ", largest message ",
                            program.largest_message, "\n");
  const auto dependencies = dependencies_of(program);
  for (size_t i = 0; i < program.works.size(); ++i) {
    const std::string number = std::to_string(i);
    text += std::string(number.size() < 4 ? 4 - number.size() : 0, ' ') + number + " " + text_of(program, program.works[i]);
    for (size_t k = 0; k < dependencies[i].size(); ++k) text += concat(k == 0 ? "  after " : ",", dependencies[i][k]);
    const Work& work = program.works[i];
    if (work.into_send != kNoWork) text += concat("  into ", work.into_send);
    if (work.into_copy != kNoWork) text += concat("  into ", work.into_copy);
    text += "\n";
  }
  return text;
}

std::string draw(std::span<const Program> programs) {
  const auto done = steps_of(programs);
  std::map<uint32_t, std::map<size_t, std::string>> rows;  // step, sender -> what it sends
  for (size_t rank = 0; rank < programs.size(); ++rank) {
    const Program& program = programs[rank];
    for (size_t i = 0; i < program.works.size(); ++i) {
      const Work& work = program.works[i];
      if (work.kind != Work::Kind::Send) continue;
      std::string& cell = rows[done[rank][i]][rank];
      cell += concat(cell.empty() ? "" : "   ", text_of(work.ref, work.chunks), " ->");
      for (uint32_t k = 0; k < work.count; ++k) cell += concat(" ", program.targets[work.first + k].peer);
    }
  }
  std::string text;
  for (const auto& [step, senders] : rows) {
    text += concat("step ", step, "\n");
    for (const auto& [rank, cell] : senders) text += concat("  rank ", rank, "  ", cell, "\n");
  }
  return text.empty() ? "no messages\n" : text;
}

}  // namespace tutti

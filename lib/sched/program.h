// program: a schedule after fusion, the form that is executed, proved, priced and drawn.
//
// Two kinds of work remain. Send: one run of chunks goes to one or more readers (several Sends of one run became one
// payload). Combine: a run of chunks becomes source[0] op source[1] op ... in this order, one pass, one rounding; sources
// are local chunks or messages. So Copy is a Combine with one local source, Recv with one message, Reduce and RecvReduce
// have the destination itself as their first source. Fusion joins a chain of Combines into one run when nothing else reads
// or writes between them and when none of their other dependencies could depend on the chain.
//
// A Combine may also name a work that the executor may do in the same pass over memory (into_send, into_copy).
#pragma once
#include <vector>

#include "lib/sched/schedule.h"

namespace tutti {

struct Source {
  int32_t peer;  // -1: the local chunks at ref; else message number `message` from peer
  uint8_t channel;
  uint32_t message;
  Ref ref;  // local only
};

struct Target {
  int32_t peer;
  uint8_t channel;
  uint32_t message;
};

inline constexpr uint32_t kNoWork = UINT32_MAX;

struct Work {
  enum class Kind : uint8_t { Send, Combine } kind;
  Ref ref;  // Send: what is sent. Combine: where the result goes
  uint32_t chunks;
  uint32_t first, count;                 // Send: range of Program::targets. Combine: range of Program::sources
  uint32_t dependencies;                 // works that must be done before this one
  uint32_t first_dependent, dependents;  // range of Program::dependents: works that wait for this one
  // Of a Combine. into_send: a Send that waits for this result alone and sends all of it. The executor may write the result into the payload
  // as well. into_copy: the copy that alone reads this result, which lies in scratch. If the copy waits for nothing else when the result is
  // made, the executor may write the result where the copy goes, and leave scratch out.
  uint32_t into_send = kNoWork, into_copy = kNoWork;
};

// Messages per execution of the program on one lane: the stride between tiles, and between operations.
struct Lane {
  int32_t peer;
  uint8_t channel;
  uint32_t sends, receives;
};

struct Program {
  uint32_t chunks = 1, scratch_copies = 0, largest_message = 1;
  std::vector<Work> works;  // in program order: a dependent comes after what it depends on
  std::vector<Source> sources;
  std::vector<Target> targets;
  std::vector<uint32_t> dependents;
  std::vector<Lane> lanes;
};

Program fuse(const Schedule& schedule);

}  // namespace tutti

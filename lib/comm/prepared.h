// prepared: calls that are ready to run, kept for when they are made again. Programs often go round a few calls.
#pragma once
#include <deque>
#include <memory>

#include "lib/comm/call.h"
#include "lib/comm/links.h"
#include "lib/comm/ops.h"
#include "lib/comm/plans.h"
#include "lib/exec/execution.h"

namespace tutti {

// An execution, and the call that it was last made ready for. The same call once more, with other addresses at most, needs no
// preparation.
struct PreparedCall {
  Execution execution;
  bool repeatable = false;  // the rest is all that the call depends on
  CallKind kind{};
  bool sends = false;
  Type type{};
  int op = 0, root = 0;
  size_t count = 0;
  uintptr_t input_offset = 0, output_offset = 0;  // from the operation's addresses to the call's
  bool may_be_in_place = false, in_place = false;
  uint64_t may_be_mapped = 0, mapped = 0;         // the bit of PreparedCalls::mapped_ that matters to it, and what it was for the plan
  bool runs = false;
  uint8_t lane = 255;            // of the Tracer, while it runs; 255: none
  uint32_t record = 0;           // of a Send or Recv: its place in the Recorder
  uint64_t started = 0;          // when it was last, as PreparedCalls::starts_ counts
  PreparedCall* next = nullptr;  // what was started after it then

  // Whether this is such a call. If so, the execution can be started.
  bool repeats(const Call& call, uint64_t now_mapped);
};

// One thread at a time.
class PreparedCalls {
 public:
  PreparedCalls(const CommOptions& options, const Settings& settings, const Links& links, const Ops& ops);
  // When the links are there.
  Status open();

  // Returns a prepared call that is ready to start `call`. It counts as running until done(). Its address stays valid. running: the calls that
  // run now. Null: `failure` says why there is none.
  PreparedCall* take(const Call& call, const std::vector<PreparedCall*>& running, Status& failure) {
    // After a call comes what came after it before.
    PreparedCall* taken = last_->next;
    if (taken->runs || !taken->repeats(call, mapped_)) {
      taken = find(call, running.size(), failure);
      if (!taken) return nullptr;
      last_->next = taken;
    }
    last_ = taken;
    taken->runs = true;
    taken->started = ++starts_;
    Operation& operation = taken->execution.operation();
    if (taken->may_be_mapped != 0) operation.signature = (operation.signature & ~kMappedFlag) | (shows(call) ? kMappedFlag : 0);
    return taken;
  }
  // It has run to its end. After a failure the caller resets `runs` instead.
  void done(PreparedCall& call) {
    mapped_ = (mapped_ & ~call.may_be_mapped) | (call.execution.all_mapped() ? call.may_be_mapped : 0);
    call.runs = false;
  }

 private:
  PreparedCall* find(const Call& call, size_t running, Status& failure);
  PreparedCall& add();
  Status prepare(const Call& call, PreparedCall& prepared);
  void prepare_single(const Call& call, PreparedCall& prepared);
  Status prepare_collective(const Call& call, PreparedCall& prepared);
  void set_op(const Call& call, Operation& operation) const;
  bool shows(const Call& call) const;

  const CommOptions& options_;
  const Settings& settings_;
  const Links& links_;
  const Ops& ops_;
  const size_t tile_bytes_, cache_bytes_;  // cache: the host's last-level cache
  std::unique_ptr<Plans> plans_;
  static constexpr size_t kKept = 8;  // prepared calls; more only for as many calls at once
  std::deque<PreparedCall> calls_;    // addresses stay; never empty
  PreparedCall* last_;                // that was started
  // Between two ranks, a bit for each number of binary digits of an AllReduce's bytes: whether in the last such call both had their
  // buffers where the other reaches into them. Both know it after that, and choose the next one's plan by it.
  uint64_t mapped_ = 0;
  uint64_t starts_ = 0;
  size_t next_ = kKept;  // where to look next for one past kKept
};

inline bool PreparedCall::repeats(const Call& call, uint64_t now_mapped) {
  if (!repeatable || kind != call.kind || count != call.count || type != call.type || op != call.op || root != call.root ||
      sends != call.sends)
    return false;
  const uintptr_t input = reinterpret_cast<uintptr_t>(call.send) - input_offset;
  const uintptr_t output = reinterpret_cast<uintptr_t>(call.recv) - output_offset;
  if (may_be_in_place && (input == output) != in_place) return false;
  if ((now_mapped & may_be_mapped) != mapped) return false;
  execution.operation().input = input;
  execution.operation().output = output;
  return true;
}

}  // namespace tutti

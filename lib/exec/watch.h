// watch: hears of the steps of an execution, in the thread that advances it. Only executions that are traced have one.
//
// In one Execution::advance(): look(), then any number of arrived(), done() and tile_done().
#pragma once
#include <cstddef>
#include <cstdint>

namespace tutti {

struct Plan;

class Watch {
 public:
  virtual void look() = 0;
  // A message of this peer is there.
  virtual void arrived(int32_t peer) = 0;
  // A work of the plan is done. bytes: of its result, or of one message.
  virtual void done(const Plan& plan, uint32_t work, uint64_t tile, size_t bytes) = 0;
  virtual void tile_done(uint64_t tile) = 0;

 protected:
  ~Watch() = default;
};

// Hears nothing, and costs nothing.
struct NoWatch {
  void look() {}
  void arrived(int32_t) {}
  void done(const Plan&, uint32_t, uint64_t, size_t) {}
  void tile_done(uint64_t) {}
};

}  // namespace tutti

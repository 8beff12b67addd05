// tracer: writes what a rank does on a communicator to a file of events (TUTTI_TRACE). docs/trace.md describes the events.
//
// The thread that runs calls puts events into a ring; a thread of this object turns them into text and writes them, so that no call waits for
// a disk. The two share the ring and two counts of lost events, and nothing else.
//
// Bounds: the memory of the ring; some events (kMostEvents) in every tenth of a second, so that short calls in a tight loop do not cost more than long ones; the
// steps of the first kTilesInSteps tiles of a call; kMostFileBytes. What is left out is counted, and the file says how much it was. Tenths
// of a second are those of the clock, so that ranks of one machine leave out the same calls.
#pragma once
#include <atomic>
#include <memory>
#include <vector>

#include "lib/base/condition.h"
#include "lib/base/thread.h"
#include "lib/comm/identity.h"
#include "lib/comm/prepared.h"
#include "lib/exec/watch.h"
#include "lib/trace/file.h"
#include "lib/trace/ring.h"

namespace tutti {

class Tracer final : private Watch {
 public:
  // began_ns: when the communicator began to be made. crowded: ranks share cores.
  static Result<std::unique_ptr<Tracer>> start(const std::string& folder, const Identity& identity, int64_t began_ns, bool crowded);
  // Writes all and ends the file.
  ~Tracer();
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;

  // The thread that runs calls:
  // The calls that begin now are those of this stream; 0: stream NULL.
  void set_stream(uint32_t stream) { stream_ = stream; }
  // A call begins. Sets call.lane.
  void begin(PreparedCall& call, uint64_t number);
  // Advances it, and hears of its steps.
  Progress advance(PreparedCall& call, bool& moved);
  // It is over.
  void end(PreparedCall& call, bool failed);

  // Waits until all events so far are in the file, a second at most. Any thread.
  void flush();

  static constexpr uint8_t kNoLane = 255;  // PreparedCall::lane of a call that is left out

 private:
  // Calls that run at once are drawn side by side: each has a lane while it runs.
  static constexpr uint8_t kLanes = 32;
  static constexpr int64_t kWindowNs = 100'000'000;
  // In a window. The writer takes about half a microsecond for an event. Where ranks share cores it takes that time from all of them.
  static constexpr uint32_t kMostEvents = 1000, kMostEventsCrowded = 400;
  static constexpr uint64_t kTilesInSteps = 16;
  static constexpr int64_t kLeastWaitNs = 1000;  // shorter waits are no events
  static constexpr size_t kRingEvents = 4096;
  static constexpr size_t kMostFileBytes = 256 << 20;

  struct Event {
    enum class Kind : uint8_t { Call, Send, Combine, Wait, Tile } kind;
    uint8_t lane;
    bool sends, failed;
    int32_t peer;        // -1: none
    uint32_t stream, work;
    uint64_t tile, tiles, bytes, number, signature;
    int64_t begin_ns, end_ns;
    const char* algorithm;
  };
  struct LaneState {
    bool taken = false;
    Event call;
    int64_t last_ns;  // until when all is told
  };

  Tracer(TraceFile file, const Identity& identity, bool crowded);

  // Watch: of the call on lane_.
  void look() override;
  void arrived(int32_t peer) override;
  void done(const Plan& plan, uint32_t work, uint64_t tile, size_t bytes) override;
  void tile_done(uint64_t tile) override;
  void enter_window(int64_t now);
  bool may_tell_detail();
  void tell_wait(int32_t peer);
  void put(const Event& event);

  // The writer:
  void run();
  void write_all();
  void write(const Event& event);
  void write_row(uint32_t tid, const Event& event);
  const std::string& text_of(const Event& event);
  void give_up(const Status& failure);

  // The thread that runs calls. Details are all but calls.
  const uint32_t most_events_, most_details_;
  uint32_t stream_ = 0;
  LaneState lanes_[kLanes];
  LaneState* lane_ = nullptr;  // of the call that is advanced
  int64_t looked_ns_ = 0;
  int32_t arrived_ = -1;       // whose message came last
  int64_t window_ = 0;
  uint32_t events_ = 0, details_ = 0;  // in the window
  uint64_t full_until_ = 0;            // by ticks(): no call can be told before. It spares short calls a look at the clock
  const TickTime began_;

  // Shared.
  Ring<Event> ring_{kRingEvents};
  std::atomic<uint64_t> lost_calls_{0}, lost_details_{0};

  // The writer.
  const int rank_;
  TraceFile file_;
  std::vector<uint32_t> streams_;  // those that have rows
  std::vector<uint32_t> rows_;     // tids that have names
  struct Named {
    uint64_t signature;
    bool sends;
    int32_t peer;
    std::string text;
  };
  std::vector<Named> named_;  // texts of calls, the last few
  size_t next_named_ = 0;
  uint64_t told_lost_ = 0;
  bool gave_up_ = false;
  Line line_;
  std::string name_;  // of an event

  std::mutex mutex_;  // guards all below
  Condition changed_;
  uint64_t asked_ = 0, written_ = 0;  // flush()
  bool ending_ = false;
  Thread thread_;
};

}  // namespace tutti

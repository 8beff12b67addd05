// execution: one operation under way on one rank; a resumable state machine that never blocks.
//
// The message is cut into tiles; each tile runs the whole plan, a few tiles at once (instances). A work starts when its
// dependencies are done; advance() tries every started work and returns. Message numbers are base + tile * stride + number in
// the program, where base counts the messages of all earlier operations on the lane, alike on both sides.
#pragma once
#include <optional>
#include <vector>

#include "lib/dtype/dtype.h"
#include "lib/exec/layout.h"
#include "lib/exec/plan.h"
#include "lib/exec/signature.h"
#include "lib/exec/watch.h"

namespace tutti {

// One call, ready to run. What it points to must stay as it is until the execution is done.
struct Operation {
  const Plan* plan = nullptr;
  // Addresses of element 0 of block 0; a rank that holds one block only passes an address that lies as far before it.
  uintptr_t input = 0, output = 0;
  Layout input_layout, output_layout;
  Type type = Type::U8;
  Op op = Op::Sum;
  uint64_t signature = 0;
  uint64_t number = 0;            // stamp_of() the call's number, which is the same on all ranks that take part
  std::optional<Scale> scale;     // every element is multiplied when it is read from Input
  int divisor = 0;                // > 1: Output chunks [divide_first, +divide_chunks) are divided at the end
  uint32_t divide_first = 0, divide_chunks = 0;
  bool streaming = false;         // the call moves more than the caches hold: results that no later work reads are written past them
  bool reduces = false;           // what ranks send one another are sums
  bool paired = false;            // AlltoAllV: every two ranks have their own count, and so their own signature
};

// Messages so far on every lane of a communicator: [peer * kLanes + channel].
struct LaneCount {
  uint32_t sent = 0, received = 0;
};

class Execution {
 public:
  // Makes operation(), which the caller has filled, ready to be started any number of times. Between two starts only its addresses and its
  // number may change. tile_bytes: limit of one message; the same in every call.
  void prepare(size_t tile_bytes);
  // Takes its message numbers. window: tiles at once.
  void start(std::span<LaneCount> lanes, uint32_t window);
  // Done, Again or Failed. `moved` becomes true if anything happened. It combines in one tile only, even if several are under way,
  // so that the caller can go on with other operations, and with messages that peers have read.
  Progress advance(bool& moved);
  // The same, and tells `watch` of the steps.
  Progress advance(bool& moved, Watch& watch);

  // What was expected, and what came instead.
  struct Mismatch {
    uint64_t expected, signature;
    uint32_t call;
    size_t expected_bytes, bytes;
  };
  // After Failed, for good: the peer, and the reason (mismatch() set: its message is of another call; else failure()).
  int failed_peer() const { return failed_peer_; }
  const std::optional<Mismatch>& mismatch() const { return mismatch_; }
  const Status& failure() const { return failure_; }
  // Whether this rank, and all ranks from which it received something, set kMappedFlag in this call.
  bool all_mapped() const { return mapped_flags_ != 0; }
  // Peers whose messages started works are waiting for.
  std::vector<int> waiting_for() const;
  uint64_t tiles() const { return tiling_.tiles; }
  Operation& operation() { return operation_; }
  const Operation& operation() const { return operation_; }

 private:
  struct Instance;
  struct Payload : Outgoing {
    Execution* execution;
    Instance* instance;
    const PlanWork* work;      // the Send; null: not started
    const PlanWork* combine;   // whose result goes straight into the payload, or null
  };
  struct Receiving : Incoming {
    bool expected = false, arrived = false, begun = false;
    uint32_t number = 0;  // of its message, from the lane's base
  };
  struct Posting {
    uint32_t turn;    // in which it was last
    uint32_t number;  // of its message, from the lane's base
  };
  // Where a run lies, in elements from its buffer's base. Runs over several blocks lie in several places: `one` is false, and
  // only `count` holds (of all together).
  struct Extent {
    size_t element, count;
    bool one;
  };
  // A tile under way. Between two tiles all is as a tile needs it at its beginning: who changes something puts it back when
  // its work is done, so that nothing has to be made anew for each tile.
  struct Instance {
    uint64_t tile = 0;
    uint64_t shape = 0;       // shape_ for which all below is laid out, for `tile`
    uint32_t works_left = 0;  // 0: idle
    uint32_t started_count = 0;
    bool given_up = false;            // what a Combine was to read has been taken back: it never runs
    uint32_t moved = kNoWork;         // the copy that has been done together with the work that is finished next
    std::vector<uint32_t> started;    // works under way, the first started_count
    std::vector<uint32_t> waiting;    // per work: dependencies left
    std::vector<Extent> works;         // per work: of its ref
    std::vector<Extent> sources;       // per source: of its ref, local ones
    std::vector<Payload> payloads;    // per post group
    uint32_t turn = 0;                // counts the tiles
    std::vector<Posting> postings;    // per target
    std::vector<Receiving> receivings;
    std::vector<std::byte> scratch, landing;
  };
  struct LaneBase {
    uint32_t send_base, receive_base;
    uint64_t send_tiles, receive_tiles;
  };

  template <typename AnyWatch>
  Progress advance_watched(bool& moved, AnyWatch& watch);
  void begin(Instance& instance, uint64_t tile);
  void make_ready(Instance& instance, uint32_t work);
  void lay_out(Instance& instance);
  void finish(Instance& instance, const PlanWork& work);
  Progress send(Instance& instance, const PlanWork& work, bool& moved);
  Progress post(Instance& instance, Payload& payload, uint32_t target);
  Wire wire_of(const Instance& instance, uint32_t target) const {
    const PlanTarget& to = operation_.plan->targets[target];
    return {lanes_[to.lane].send_base + instance.postings[target].number, to.channel, operation_.number,
            operation_.paired ? pair_signature(operation_.input_layout, to.peer) : operation_.signature};
  }
  uint64_t pair_signature(const Layout& layout, int32_t peer) const;
  template <typename AnyWatch>
  Progress receive(Instance& instance, const PlanWork& work, bool& moved, AnyWatch& watch);
  bool fits(size_t expected_bytes, const PlanSource& source, const Receiving& receiving);
  void note_mismatch(int32_t peer, const Mismatch& mismatch);
  bool begin_lent(Instance& instance, const PlanWork& work);
  Progress failed_from(const PlanSource& source);
  void expect(Instance& instance, const PlanWork& work, const PlanSource& source, Receiving& receiving);
  bool combine_and_send(Instance& instance, const PlanWork& work);
  void combine_all(Instance& instance, const PlanWork& work, const PlanWork& to);
  template <typename ElementOf>
  void combine_run(Instance& instance, const PlanWork& work, const PlanWork& to, Range range, size_t offset_bytes,
                   ElementOf element_of);
  void combine_places(const PlanWork& work, Destination to, size_t offset_bytes, std::span<const std::byte*> sources,
                      size_t scaled, size_t count);
  void combine_scaled(std::span<Destination> to, std::span<const std::byte*> from, size_t scaled, size_t count) const;
  void divide_output(const Instance& instance) const;
  void start_send(Instance& instance, const PlanWork& work, uint32_t group);
  void set_payload(Payload& payload);
  static void pack(Outgoing& outgoing, Destination to);
  static void pack_combined(Outgoing& outgoing, Destination to);

  const Extent& extent(const Instance& instance, const PlanWork& work) const {
    return instance.works[static_cast<size_t>(&work - operation_.plan->works.data())];
  }
  const Layout& layout_of(Buffer buffer) const {
    return buffer == Buffer::Input ? operation_.input_layout : operation_.output_layout;
  }
  std::byte* base_of(const Instance& instance, Buffer buffer) const {
    if (buffer == Buffer::Scratch) return const_cast<std::byte*>(instance.scratch.data());
    return reinterpret_cast<std::byte*>(buffer == Buffer::Input ? operation_.input : operation_.output);
  }
  std::byte* address(const Instance& instance, Buffer buffer, size_t element) const {
    // In numbers: where there is nothing, a base that lies before its buffer may be no pointer at all.
    return reinterpret_cast<std::byte*>(reinterpret_cast<uintptr_t>(base_of(instance, buffer)) + element * element_bytes_);
  }
  Range locate(const Instance& instance, Ref ref, uint32_t run) const;  // run: within one block
  Extent extent_of(const Instance& instance, Ref ref, uint32_t chunks) const;
  // Visits a run block by block: within one block, a run of chunks is one range of elements.
  template <typename Visit>  // visit(chunk offset in the run, chunks)
  void for_each_block(Ref ref, uint32_t chunks, Visit visit) const {
    for (uint32_t offset = 0; offset < chunks;) {
      const uint32_t piece = (ref.chunk + offset) % tiling_.pieces;
      const uint32_t run = std::min(chunks - offset, tiling_.pieces - piece);
      visit(offset, run);
      offset += run;
    }
  }

  Operation operation_;
  uint64_t shape_ = 0;  // counts what prepare() worked out
  Tiling tiling_;
  size_t element_bytes_ = 0, piece_ = 1;  // piece_: elements of the longest chunk
  uint64_t next_tile_ = 0, tiles_done_ = 0;
  uint32_t window_ = 1;
  uint32_t next_instance_ = 0;  // that advance() looks at
  std::vector<LaneBase> lanes_;
  std::vector<Instance> instances_;
  // Of one Combine: its sources; where its result goes besides, as whole messages; all places of a part of it; which targets
  // of the Send that it feeds have been claimed.
  std::vector<const std::byte*> pointers_;
  std::vector<Destination> payloads_, places_;
  std::vector<uint32_t> claimed_;
  uint64_t mapped_flags_ = 0;
  int failed_peer_ = -1;
  std::optional<Mismatch> mismatch_;
  Status failure_;
};

}  // namespace tutti

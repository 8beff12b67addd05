// prepare: from a call to what the executor runs: addresses, layouts, the plan, the op.
#include <algorithm>
#include <bit>
#include <cstring>

#include "lib/comm/prepared.h"

namespace tutti {
namespace {

uintptr_t address(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

size_t sum(const std::vector<size_t>& counts) {
  size_t total = 0;
  for (size_t count : counts) total += count;
  return total;
}

}  // namespace

Status PreparedCalls::prepare(const Call& call, PreparedCall& prepared) {
  Operation& operation = prepared.execution.operation();
  operation = {};
  prepared.repeatable = false;
  prepared.kind = call.kind;
  prepared.sends = call.sends;
  prepared.type = operation.type = call.type;
  prepared.op = call.op;
  prepared.root = call.root;
  prepared.count = call.count;
  prepared.input_offset = prepared.output_offset = 0;
  prepared.may_be_in_place = prepared.in_place = false;
  prepared.may_be_mapped = prepared.mapped = 0;
  operation.signature = signature_of(call);
  operation.input = address(call.send);
  operation.output = address(call.recv);
  operation.input_layout.count = operation.output_layout.count = call.count;
  if (call.kind == CallKind::PointToPoint) {
    prepare_single(call, prepared);
  } else {
    TUTTI_TRY(prepare_collective(call, prepared));
  }
  prepared.execution.prepare(tile_bytes_);
  // What arrays or memory outside the call say may change without notice.
  prepared.repeatable = !call.blocks && call.op < kFirstUserOp;
  return {};
}

// A Send or a Recv.
void PreparedCalls::prepare_single(const Call& call, PreparedCall& prepared) {
  Operation& operation = prepared.execution.operation();
  operation.plan = plans_->point_to_point(call.sends, call.root);
  operation.streaming = 2 * call.count * size_of(call.type) * static_cast<size_t>(options_.ranks) > cache_bytes_;
}

Status PreparedCalls::prepare_collective(const Call& call, PreparedCall& prepared) {
  Operation& operation = prepared.execution.operation();
  const size_t bytes = size_of(call.type);
  const Collective collective = collective_of(call.kind);
  const uint32_t blocks = blocks_of(collective, options_.ranks);
  const uint32_t me = static_cast<uint32_t>(options_.rank);
  size_t total = call.count * blocks;
  if (call.blocks) {
    const Call::Blocks& lists = *call.blocks;
    operation.output_layout = {0, lists.recv_counts, lists.recv_starts};
    operation.input_layout = operation.output_layout;
    operation.paired = call.kind == CallKind::AlltoAllV;
    if (operation.paired) operation.input_layout = {0, lists.send_counts, lists.send_starts};
    total = operation.paired ? 0 : sum(lists.recv_counts);  // AlltoAllV's counts are this rank's own: no choice by size
  }
  // A buffer of one block stands for block `rank` of the whole.
  if (collective == Collective::AllGather || collective == Collective::Gather)
    prepared.input_offset = operation.input_layout.start_of(me) * bytes;
  if (collective == Collective::ReduceScatter || collective == Collective::Scatter)
    prepared.output_offset = operation.output_layout.start_of(me) * bytes;
  operation.input -= prepared.input_offset;
  operation.output -= prepared.output_offset;

  prepared.may_be_in_place = total > 0 && (!has_root(collective) || call.root == options_.rank);
  prepared.in_place = prepared.may_be_in_place && operation.input == operation.output;
  const int root = has_root(collective) ? call.root : 0;
  // Each of two ranks sends half of an AllReduce.
  const MappedEndpoint* const other = options_.ranks == 2 ? links_.routes[static_cast<size_t>(1 - options_.rank)].endpoint->mapped() : nullptr;
  if (call.kind == CallKind::AllReduce && other && total * bytes >= 2 * other->least_bytes())
    prepared.may_be_mapped = uint64_t{1} << (std::bit_width(total * bytes) - 1);
  prepared.mapped = prepared.may_be_mapped & mapped_;
  Result<const Plan*> plan = prepared.mapped != 0 ? plans_->find_mapped(prepared.in_place, total * bytes)
                                                : plans_->find(collective, root, prepared.in_place, !call.blocks, total * bytes);
  if (!plan.ok()) return plan.status();
  operation.plan = plan.value();
  // Inputs and outputs of all ranks of the host together do not fit into its last cache, so results only pass through it; of
  // AllReduce, in which the sums go round, too, not even half of them (`build/perf/all_reduce_perf -p 2 -b 1M -e 64M`, out of place,
  // with TUTTI_CACHE=1G and 1M). Where a sum takes the place of an input, its lines have just come: to write past them took 1.3 to 2
  // times as long, 16 to 64 MiB.
  const size_t touched = call.kind == CallKind::AllReduce ? 4 : 2;
  const bool rewritten = prepared.in_place && reduces(collective);
  operation.streaming = !rewritten && touched * total * bytes * static_cast<size_t>(options_.ranks) > cache_bytes_;
  operation.reduces = reduces(collective);
  set_op(call, operation);
  return {};
}

// Whether the other of two ranks reaches into the call's buffers.
bool PreparedCalls::shows(const Call& call) const {
  const MappedEndpoint& other = *links_.routes[static_cast<size_t>(1 - options_.rank)].endpoint->mapped();
  return other.shows(call.send) && other.shows(call.recv);
}

void PreparedCalls::set_op(const Call& call, Operation& operation) const {
  if (!reduces(collective_of(call.kind)) || call.kind == CallKind::Barrier) return;
  if (call.op < kOpAvg) {
    operation.op = static_cast<Op>(call.op);
    return;
  }
  operation.op = Op::Sum;
  if (call.op == kOpAvg) {
    if (is_float(call.type)) {
      if (options_.ranks > 1) operation.scale = scale_one_over(options_.ranks, call.type);
      return;
    }
    // Integers: the sum is divided where it ends up.
    operation.divisor = options_.ranks;
    const Collective collective = collective_of(call.kind);
    const uint32_t pieces = operation.plan->chunks / operation.plan->blocks;
    operation.divide_first = collective == Collective::ReduceScatter ? static_cast<uint32_t>(options_.rank) * pieces : 0;
    operation.divide_chunks = collective == Collective::Reduce && call.root != options_.rank ? 0 : pieces;
    return;
  }
  operation.scale = ops_.scale_of(call.op);
}

}  // namespace tutti

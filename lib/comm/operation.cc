// operation: from a call to what the executor runs: addresses, layouts, the plan, the op.
#include <algorithm>
#include <bit>
#include <cstring>

#include "lib/comm/comm.h"

namespace tutti {
namespace {

constexpr size_t kLeastMapped = 16 << 10;  // bytes of an AllReduce: of half as much shm writes into another's memory (kLeastDirect)

uintptr_t address(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

size_t sum(const std::vector<size_t>& counts) {
  size_t total = 0;
  for (size_t count : counts) total += count;
  return total;
}

}  // namespace

Status Comm::prepare(const Call& call, Runner& runner) {
  Operation& operation = runner.execution.operation();
  operation = {};
  runner.repeatable = false;
  runner.kind = call.kind;
  runner.sends = call.sends;
  runner.type = operation.type = call.type;
  runner.op = call.op;
  runner.root = call.root;
  runner.count = call.count;
  runner.input_offset = runner.output_offset = 0;
  runner.may_be_in_place = runner.in_place = false;
  runner.may_be_mapped = runner.mapped = 0;
  operation.signature = signature_of(call);
  operation.input = address(call.send);
  operation.output = address(call.recv);
  operation.input_layout.count = operation.output_layout.count = call.count;
  if (call.kind == CallKind::PointToPoint) {
    prepare_single(call, runner);
  } else {
    TUTTI_TRY(prepare_collective(call, runner));
  }
  runner.execution.prepare(tile_bytes_);
  // What arrays or memory outside the call say may change without notice.
  runner.repeatable = !call.blocks && call.op < kFirstUserOp;
  return {};
}

// A Send or a Recv.
void Comm::prepare_single(const Call& call, Runner& runner) {
  Operation& operation = runner.execution.operation();
  operation.plan = plans_->point_to_point(call.sends, call.root);
  operation.streaming = 2 * call.count * size_of(call.type) * static_cast<size_t>(ranks()) > cache_bytes_;
  operation.invites = operation.streaming;
}

Status Comm::prepare_collective(const Call& call, Runner& runner) {
  Operation& operation = runner.execution.operation();
  const size_t bytes = size_of(call.type);
  const Collective collective = collective_of(call.kind);
  const uint32_t blocks = blocks_of(collective, ranks());
  const uint32_t me = static_cast<uint32_t>(rank());
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
    runner.input_offset = operation.input_layout.start_of(me) * bytes;
  if (collective == Collective::ReduceScatter || collective == Collective::Scatter)
    runner.output_offset = operation.output_layout.start_of(me) * bytes;
  operation.input -= runner.input_offset;
  operation.output -= runner.output_offset;

  runner.may_be_in_place = total > 0 && (!has_root(collective) || call.root == rank());
  runner.in_place = runner.may_be_in_place && operation.input == operation.output;
  const int root = has_root(collective) ? call.root : 0;
  if (call.kind == CallKind::AllReduce && ranks() == 2 && total * bytes >= kLeastMapped)
    runner.may_be_mapped = uint64_t{1} << (std::bit_width(total * bytes) - 1);
  runner.mapped = runner.may_be_mapped & mapped_;
  Result<const Plan*> plan = runner.mapped != 0 ? plans_->find_mapped(runner.in_place, total * bytes)
                                                : plans_->find(collective, root, runner.in_place, !call.blocks, total * bytes);
  if (!plan.ok()) return plan.status();
  operation.plan = plan.value();
  // Inputs and outputs of all ranks of the host together do not fit into its last cache, so results only pass through it; of
  // AllReduce, in which the sums go round, too, not even half of them (`build/perf/all_reduce_perf -p 2 -b 1M -e 64M`, out of place,
  // with TUTTI_CACHE=1G and 1M). Where a sum takes the place of an input, its lines have just come: to write past them took 1.3 to 2
  // times as long, 16 to 64 MiB.
  const size_t touched = call.kind == CallKind::AllReduce ? 4 : 2;
  const bool rewritten = runner.in_place && reduces(collective);
  operation.streaming = !rewritten && touched * total * bytes * static_cast<size_t>(ranks()) > cache_bytes_;
  // What fits the caches is better fetched by this core than written by another; not so a sum, which its writer has just made.
  operation.invites = operation.streaming || reduces(collective);
  return set_op(call, operation);
}

// Whether the other of two ranks reaches into the call's buffers.
bool Comm::shows(const Call& call) const {
  const Endpoint& other = *routes_[static_cast<size_t>(1 - rank())].endpoint;
  return other.shows(call.send) && other.shows(call.recv);
}

Status Comm::set_op(const Call& call, Operation& operation) {
  if (!reduces(collective_of(call.kind)) || call.kind == CallKind::Barrier) return {};
  if (call.op < kOpAvg) {
    operation.op = static_cast<Op>(call.op);
    return {};
  }
  operation.op = Op::Sum;
  if (call.op == kOpAvg) {
    if (is_float(call.type)) {
      if (ranks() > 1) operation.scale = scale_one_over(ranks(), call.type);
      return {};
    }
    // Integers: the sum is divided where it ends up.
    operation.divisor = ranks();
    const Collective collective = collective_of(call.kind);
    const uint32_t pieces = operation.plan->chunks / operation.plan->blocks;
    operation.divide_first = collective == Collective::ReduceScatter ? static_cast<uint32_t>(rank()) * pieces : 0;
    operation.divide_chunks = collective == Collective::Reduce && call.root != rank() ? 0 : pieces;
    return {};
  }
  std::lock_guard lock(mutex_);
  const UserOp& op = ops_[static_cast<size_t>(call.op - kFirstUserOp)];
  operation.scale = op.scalar ? scale_from(op.scalar, op.type) : op.scale;
  return {};
}

// ---- ops and regions

Result<int> Comm::add_op(const void* scalar, Type type, bool read_now) {
  std::lock_guard lock(mutex_);
  ops_.push_back({true, type, read_now ? scale_from(scalar, type) : Scale{}, read_now ? nullptr : scalar});
  return kFirstUserOp + static_cast<int>(ops_.size()) - 1;
}

Status Comm::check_op(int op, Type type) const {
  if (op < 0) return fail(Code::InvalidArgument, "op ", op, " is no reduction operator");
  if (op < kFirstUserOp) return {};
  std::lock_guard lock(mutex_);
  const size_t index = static_cast<size_t>(op - kFirstUserOp);
  if (index >= ops_.size() || !ops_[index].alive)
    return fail(Code::InvalidArgument, "op ", op, " is no reduction operator of this communicator (destroyed, or another's?)");
  if (ops_[index].type != type)
    return fail(Code::InvalidArgument, "op ", op, " was made for ", name_of(ops_[index].type), ", the call is on ", name_of(type));
  return {};
}

Status Comm::remove_op(int op) {
  std::lock_guard lock(mutex_);
  const size_t index = static_cast<size_t>(op - kFirstUserOp);
  if (op < kFirstUserOp || index >= ops_.size() || !ops_[index].alive)
    return fail(Code::InvalidArgument, "op ", op, " was not made by RedOpCreatePreMulSum on this communicator, or is destroyed");
  ops_[index].alive = false;
  return {};
}

uint64_t Comm::add_region(void* data, size_t bytes) {
  std::lock_guard lock(mutex_);
  regions_.push_back({next_region_, {data, bytes}});
  return next_region_++;
}

bool Comm::remove_region(uint64_t handle) {
  std::lock_guard lock(mutex_);
  return std::erase_if(regions_, [&](const auto& region) { return region.first == handle; }) > 0;
}

}  // namespace tutti

// call: see call.h.
#include "lib/comm/call.h"

#include <sstream>

#include "lib/base/status.h"
#include "lib/exec/execution.h"

namespace tutti {
namespace {

constexpr const char* kKindNames[] = {"AllReduce", "Reduce",  "Broadcast", "AllGather",  "ReduceScatter",  "AlltoAll", "Gather",
                                      "Scatter",   "Barrier", "Send/Recv", "AllGatherV", "ReduceScatterV", "AllToAllV"};
constexpr uint64_t kCountMask = (uint64_t{1} << 40) - 1, kRootMask = 0x7ff;
static_assert(kRemark == (kRootMask + 1) << 40);  // between the root and the op

bool kind_reduces(CallKind kind) {
  return kind == CallKind::AllReduce || kind == CallKind::Reduce || kind == CallKind::ReduceScatter ||
         kind == CallKind::ReduceScatterV;
}

bool kind_has_root(CallKind kind) {
  return kind == CallKind::Reduce || kind == CallKind::Broadcast || kind == CallKind::Gather || kind == CallKind::Scatter;
}

bool kind_is_vector(CallKind kind) { return kind >= CallKind::AllGatherV; }

uint64_t folded(uint64_t count) { return count <= kCountMask ? count : (count ^ (count >> 40) * 0x9e3779b1) & kCountMask; }

}  // namespace

Collective collective_of(CallKind kind) {
  switch (kind) {
    case CallKind::Barrier: return Collective::AllReduce;
    case CallKind::AllGatherV: return Collective::AllGather;
    case CallKind::ReduceScatterV: return Collective::ReduceScatter;
    case CallKind::AllToAllV: return Collective::AlltoAll;
    default: return static_cast<Collective>(kind);
  }
}

uint64_t signature_of(const Call& call) {
  uint64_t count = folded(call.count);
  if (call.blocks && call.kind != CallKind::AllToAllV) {  // AllToAllV's counts differ between ranks
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t value : call.blocks->recv_counts) hash = (hash ^ value) * 0x100000001b3;
    count = (hash ^ hash >> 40) & kCountMask;
  }
  const uint64_t op = kind_reduces(call.kind) ? static_cast<uint64_t>(call.op < kFirstUserOp ? call.op : kFirstUserOp) : 0;
  const uint64_t root = kind_has_root(call.kind) ? static_cast<uint64_t>(call.root) & kRootMask : 0;
  return static_cast<uint64_t>(call.kind) << 60 | static_cast<uint64_t>(call.type) << 56 | op << 52 | root << 40 | count;
}

std::string describe(uint64_t signature) {
  const uint64_t kind_number = signature >> 60, type = signature >> 56 & 15;
  if (kind_number > static_cast<uint64_t>(CallKind::AllToAllV) || type >= kTypes) return "an unknown call";
  const CallKind kind = static_cast<CallKind>(kind_number);
  if (kind == CallKind::Barrier) return "Barrier";
  std::ostringstream text;
  text << kKindNames[kind_number] << " (" << name_of(static_cast<Type>(type));
  if (kind_reduces(kind)) {
    static const char* const ops[] = {"sum", "prod", "max", "min", "avg", "premulsum"};
    const uint64_t op = signature >> 52 & 15;
    text << ", " << (op <= kFirstUserOp ? ops[op] : "?");
  }
  if (kind_has_root(kind)) text << ", root " << (signature >> 40 & kRootMask);
  if (kind_is_vector(kind)) {
    if (kind != CallKind::AllToAllV) text << ", counts with hash " << std::hex << (signature & kCountMask) << std::dec;
  } else {
    text << ", count " << (signature & kCountMask);
  }
  text << ")";
  return text.str();
}

}  // namespace tutti

// call: see call.h.
#include "lib/comm/call.h"

#include <algorithm>
#include <sstream>

#include "lib/base/status.h"
#include "lib/boot/boot.h"
#include "lib/exec/signature.h"

namespace tutti {
namespace {

constexpr const char* kKindNames[] = {"AllReduce", "Reduce",  "Broadcast", "AllGather",  "ReduceScatter",  "AlltoAll", "Gather",
                                      "Scatter",   "Barrier", "Send/Recv", "AllGatherV", "ReduceScatterV", "AlltoAllV"};
// Where the parts of a signature begin.
constexpr int kRootAt = kCountBits, kMappedAt = kRootAt + kRootBits, kOpAt = kMappedAt + 1, kTypeAt = kOpAt + 4, kKindAt = kTypeAt + 6;
static_assert(kMappedFlag == uint64_t{1} << kMappedAt && kKindAt + 6 == 64);
constexpr uint64_t kRootMask = (1 << kRootBits) - 1;
static_assert(kMaxRanks <= kRootMask + 1);

bool kind_reduces(CallKind kind) {
  return kind == CallKind::AllReduce || kind == CallKind::Reduce || kind == CallKind::ReduceScatter ||
         kind == CallKind::ReduceScatterV;
}

bool kind_has_root(CallKind kind) {
  return kind == CallKind::Reduce || kind == CallKind::Broadcast || kind == CallKind::Gather || kind == CallKind::Scatter;
}

bool kind_is_vector(CallKind kind) { return kind >= CallKind::AllGatherV; }

const char* type_of(uint64_t signature) {
  const uint64_t type = signature >> kTypeAt & 63;
  return type < kTypes ? name_of(static_cast<Type>(type)) : "?";
}

}  // namespace

Collective collective_of(CallKind kind) {
  switch (kind) {
    case CallKind::Barrier: return Collective::AllReduce;
    case CallKind::AllGatherV: return Collective::AllGather;
    case CallKind::ReduceScatterV: return Collective::ReduceScatter;
    case CallKind::AlltoAllV: return Collective::AlltoAll;
    default: return static_cast<Collective>(kind);
  }
}

uint64_t signature_of(const Call& call) {
  uint64_t count = folded_count(call.count);
  if (call.blocks && call.kind != CallKind::AlltoAllV) {
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t value : call.blocks->recv_counts) hash = (hash ^ value) * 0x100000001b3;
    count = (hash ^ hash >> kCountBits) & kCountMask;
  }
  const uint64_t op = kind_reduces(call.kind) ? static_cast<uint64_t>(call.op < kFirstUserOp ? call.op : kFirstUserOp) : 0;
  const uint64_t root = kind_has_root(call.kind) ? static_cast<uint64_t>(call.root) & kRootMask : 0;
  return static_cast<uint64_t>(call.kind) << kKindAt | static_cast<uint64_t>(call.type) << kTypeAt | op << kOpAt | root << kRootAt | count;
}

// A kind that does not exist counts as the last one.
CallKind kind_of(uint64_t signature) {
  return static_cast<CallKind>(std::min<uint64_t>(signature >> kKindAt, static_cast<uint64_t>(CallKind::AlltoAllV)));
}

const char* name_of(CallKind kind) { return kKindNames[static_cast<size_t>(kind)]; }

size_t count_of(uint64_t signature) { return signature & kCountMask; }

std::string describe(uint64_t signature) {
  const CallKind kind = kind_of(signature);
  if (kind == CallKind::Barrier) return "Barrier";
  std::ostringstream text;
  text << kKindNames[static_cast<size_t>(kind)] << " (" << type_of(signature);
  if (kind_reduces(kind)) {
    static const char* const ops[] = {"sum", "prod", "max", "min", "avg", "premulsum"};
    const uint64_t op = signature >> kOpAt & 15;
    text << ", " << (op <= kFirstUserOp ? ops[op] : "?");
  }
  if (kind_has_root(kind)) text << ", root " << (signature >> kRootAt & kRootMask);
  if (!kind_is_vector(kind)) text << ", count " << count_of(signature);
  text << ")";
  return text.str();
}

std::string describe_single(uint64_t signature, bool sends, int peer) {
  return concat(sends ? "Send (" : "Recv (", type_of(signature), ", count ", count_of(signature), sends ? ") to rank " : ") from rank ", peer);
}

std::string list_of(const std::vector<size_t>& counts) {
  constexpr size_t kShown = 16;
  std::string text;
  for (size_t i = 0; i < counts.size() && i < kShown; ++i) text += concat(i == 0 ? "" : ", ", counts[i]);
  return counts.size() > kShown ? text + ", ..." : text;
}

}  // namespace tutti

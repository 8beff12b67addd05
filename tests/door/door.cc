// door: a door in a library of its own, as docs/doors.md has it: tables of names and numbers, and functions that only translate.
#include "tests/door/door.h"

#include "lib/api/front/front.h"

namespace {

using namespace tutti;
using front::BuiltInOp;

constexpr Type kTypes[] = {Type::F64, Type::F32, Type::I32};
constexpr BuiltInOp kOps[] = {BuiltInOp::Max, BuiltInOp::Sum};
constexpr front::Door kDoor = {
    .group_start = "doorBegin",
    .mem_alloc = "doorAllocate",
    .manual = "door.h",
    .types = kTypes,
    .ops = kOps,
    .names = {.ranks = "n", .rank = "me", .id = "id", .send = "in", .recv = "out", .type = "type", .send_peer = "to", .recv_peer = "from",
              .pointer = "memory", .size = "bytes"},
};
template <front::FunctionName name>
constexpr front::Caller kCaller{&kDoor, name.text};

front::CommHandle handle(doorComm_t comm) { return front::CommHandle{reinterpret_cast<uintptr_t>(comm)}; }
front::StreamHandle handle(doorStream_t stream) { return front::StreamHandle{reinterpret_cast<uintptr_t>(stream)}; }
doorResult result(Code code) {
  switch (code) {
    case Code::Success: return doorOk;
    case Code::InProgress: return doorWait;
    case Code::InvalidArgument: return doorBad;
    case Code::InvalidUsage: return doorMisuse;
    default: return doorFailed;
  }
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

doorResult doorGetId(doorId* id) { return result(front::get_unique_id(id, kCaller<"doorGetId">)); }
doorResult doorInit(uint32_t n, const doorId* id, uint32_t me, doorComm_t* comm) {
  return result(front::init_rank(comm, static_cast<int>(n), id, static_cast<int>(me), {}, kCaller<"doorInit">));
}
doorResult doorDestroy(doorComm_t comm) { return result(front::destroy(handle(comm), kCaller<"doorDestroy">)); }
doorResult doorAllReduce(const void* in, void* out, uint64_t count, doorType type, doorOp op, doorComm_t comm, doorStream_t stream) {
  return result(front::all_reduce(in, out, count, type, op, handle(comm), handle(stream), kCaller<"doorAllReduce">));
}
doorResult doorSend(const void* in, uint64_t count, doorType type, uint32_t to, doorComm_t comm, doorStream_t stream) {
  return result(front::send(in, count, type, static_cast<int>(to), handle(comm), handle(stream), kCaller<"doorSend">));
}
doorResult doorRecv(void* out, uint64_t count, doorType type, uint32_t from, doorComm_t comm, doorStream_t stream) {
  return result(front::recv(out, count, type, static_cast<int>(from), handle(comm), handle(stream), kCaller<"doorRecv">));
}
doorResult doorBegin(void) { return result(front::group_start(kCaller<"doorBegin">)); }
doorResult doorEnd(void) { return result(front::group_end(kCaller<"doorEnd">)); }
doorResult doorStreamCreate(doorStream_t* stream) { return result(front::stream_create(stream, kCaller<"doorStreamCreate">)); }
doorResult doorStreamWait(doorStream_t stream) { return result(front::stream_synchronize(handle(stream), kCaller<"doorStreamWait">)); }
doorResult doorStreamDestroy(doorStream_t stream) { return result(front::stream_destroy(handle(stream), kCaller<"doorStreamDestroy">)); }
doorResult doorAllocate(void** memory, size_t bytes) { return result(front::mem_alloc(memory, bytes, kCaller<"doorAllocate">)); }
doorResult doorFree(void* memory) { return result(front::mem_free(memory, kCaller<"doorFree">)); }
const char* doorWhy(void) { return front::last_error({}, kCaller<"doorWhy">); }

}  // extern "C"

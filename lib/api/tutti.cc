// tutti: the door of tutti.h. It translates arguments and results, and knows what its users call things; the rules are the front's.
#include "include/tutti/tutti.h"

#include <algorithm>
#include <cstring>

#include "lib/api/front/front.h"

namespace {

using namespace tutti;
using front::BuiltInOp;

// The public header counts types, ops and results as the front does.
constexpr Type kTypes[] = {Type::I8,  Type::U8,  Type::I32, Type::U32,  Type::I64,    Type::U64,
                           Type::F16, Type::F32, Type::F64, Type::BF16, Type::F8E4M3, Type::F8E5M2};
constexpr BuiltInOp kOps[] = {BuiltInOp::Sum, BuiltInOp::Prod, BuiltInOp::Max, BuiltInOp::Min, BuiltInOp::Avg};
static_assert(std::size(kTypes) == tuttiNumTypes && std::size(kOps) == tuttiNumOps);
static_assert(sizeof(tuttiUniqueId) == front::kIdBytes && TUTTI_SPLIT_NOCOLOR == front::kNoColor);
static_assert(tuttiScalarDevice == 0 && tuttiScalarHostImmediate == 1);

constexpr front::Door kDoor = {
    .group_start = "tuttiGroupStart",
    .mem_alloc = "tuttiMemAlloc",
    .comm_register = "tuttiCommRegister",
    .no_color = "TUTTI_SPLIT_NOCOLOR",
    .manual = "tutti.h",
    .types = kTypes,
    .ops = kOps,
};

template <front::FunctionName name>
constexpr front::Caller kCaller{&kDoor, name.text};

front::CommHandle handle(tuttiComm_t comm) { return front::CommHandle{reinterpret_cast<uintptr_t>(comm)}; }
front::StreamHandle handle(tuttiStream_t stream) { return front::StreamHandle{reinterpret_cast<uintptr_t>(stream)}; }
tuttiResult_t result(Code code) { return static_cast<tuttiResult_t>(code); }

// Reads no further than the caller's struct reaches.
front::Config read(const tuttiConfig_t* given) {
  front::Config config;
  if (!given) return config;
  tuttiConfig_t full = TUTTI_CONFIG_INITIALIZER;
  if (given->size < offsetof(tuttiConfig_t, blocking) || given->magic != TUTTI_CONFIG_MAGIC) {
    config.wrong = "was not started from TUTTI_CONFIG_INITIALIZER";
    return config;
  }
  std::memcpy(&full, given, std::min(given->size, sizeof full));
  static_assert(TUTTI_CONFIG_UNDEF_INT == front::Config::kUnset);
  config.blocking = full.blocking;
  config.timeout_ms = full.timeoutMs;
  config.name = full.commName;
  return config;
}

}  // namespace

extern "C" {

// ---- version and errors

tuttiResult_t tuttiGetVersion(int* version) {
  return result(front::get_version(version, TUTTI_VERSION_CODE, kCaller<"tuttiGetVersion">));
}

const char* tuttiGetErrorString(tuttiResult_t code) {
  switch (code) {
    case tuttiSuccess: return "no error";
    case tuttiUnhandledDeviceError: return "the accelerator's runtime failed (tuttiGetLastError says more)";
    case tuttiSystemError: return "a call to the operating system failed (tuttiGetLastError says which)";
    case tuttiInternalError: return "internal error: please report this as a bug of Tutti";
    case tuttiInvalidArgument: return "invalid argument (tuttiGetLastError says which)";
    case tuttiInvalidUsage: return "invalid usage: calls do not fit together (tuttiGetLastError says which)";
    case tuttiRemoteError: return "another rank died, failed, or did not come in time (tuttiGetLastError names it)";
    case tuttiInProgress: return "operation in progress";
    default: return "unknown result code";
  }
}

const char* tuttiGetLastError(tuttiComm_t comm) { return front::last_error(handle(comm), kCaller<"tuttiGetLastError">); }

// ---- communicators

tuttiResult_t tuttiGetUniqueId(tuttiUniqueId* uniqueId) { return result(front::get_unique_id(uniqueId, kCaller<"tuttiGetUniqueId">)); }

tuttiResult_t tuttiCommInitRank(tuttiComm_t* comm, int nranks, tuttiUniqueId commId, int rank) {
  return result(front::init_rank(comm, nranks, &commId, rank, {}, kCaller<"tuttiCommInitRank">));
}

tuttiResult_t tuttiCommInitRankConfig(tuttiComm_t* comm, int nranks, tuttiUniqueId commId, int rank, tuttiConfig_t* config) {
  return result(front::init_rank(comm, nranks, &commId, rank, read(config), kCaller<"tuttiCommInitRankConfig">));
}

tuttiResult_t tuttiCommInitAll(tuttiComm_t* comms, int ndev, const int* devlist) {
  return result(front::init_all(comms, ndev, devlist, kCaller<"tuttiCommInitAll">));
}

tuttiResult_t tuttiCommSplit(tuttiComm_t comm, int color, int key, tuttiComm_t* newcomm, tuttiConfig_t* config) {
  return result(front::split(handle(comm), color, key, newcomm, read(config), kCaller<"tuttiCommSplit">));
}

tuttiResult_t tuttiCommFinalize(tuttiComm_t comm) { return result(front::finalize(handle(comm), kCaller<"tuttiCommFinalize">)); }

tuttiResult_t tuttiCommDestroy(tuttiComm_t comm) { return result(front::destroy(handle(comm), kCaller<"tuttiCommDestroy">)); }

tuttiResult_t tuttiCommRevoke(tuttiComm_t comm, int flags) { return result(front::revoke(handle(comm), flags, kCaller<"tuttiCommRevoke">)); }
tuttiResult_t tuttiCommAbort(tuttiComm_t comm) { return result(front::abort(handle(comm), kCaller<"tuttiCommAbort">)); }

tuttiResult_t tuttiCommCount(tuttiComm_t comm, int* count) {
  return result(front::get_count(handle(comm), count, kCaller<"tuttiCommCount">));
}

tuttiResult_t tuttiCommUserRank(tuttiComm_t comm, int* rank) {
  return result(front::get_rank(handle(comm), rank, kCaller<"tuttiCommUserRank">));
}

tuttiResult_t tuttiCommGetAsyncError(tuttiComm_t comm, tuttiResult_t* asyncError) {
  Code error{};
  const Code code = front::get_async_error(handle(comm), asyncError ? &error : nullptr, kCaller<"tuttiCommGetAsyncError">);
  if (code == Code::Success) *asyncError = result(error);
  return result(code);
}

// ---- collectives

tuttiResult_t tuttiAllReduce(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, tuttiRedOp_t op,
                             tuttiComm_t comm, tuttiStream_t stream) {
  return result(front::all_reduce(sendbuff, recvbuff, count, datatype, op, handle(comm), handle(stream), kCaller<"tuttiAllReduce">));
}

tuttiResult_t tuttiReduce(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, tuttiRedOp_t op,
                          int root, tuttiComm_t comm, tuttiStream_t stream) {
  return result(front::reduce(sendbuff, recvbuff, count, datatype, op, root, handle(comm), handle(stream), kCaller<"tuttiReduce">));
}

tuttiResult_t tuttiBroadcast(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, int root,
                             tuttiComm_t comm, tuttiStream_t stream) {
  return result(front::broadcast(sendbuff, recvbuff, count, datatype, root, handle(comm), handle(stream), kCaller<"tuttiBroadcast">));
}

tuttiResult_t tuttiBcast(void* buff, size_t count, tuttiDataType_t datatype, int root, tuttiComm_t comm,
                         tuttiStream_t stream) {
  return result(front::broadcast_in_place(buff, count, datatype, root, handle(comm), handle(stream), kCaller<"tuttiBcast">));
}

tuttiResult_t tuttiAllGather(const void* sendbuff, void* recvbuff, size_t sendcount, tuttiDataType_t datatype,
                             tuttiComm_t comm, tuttiStream_t stream) {
  return result(front::all_gather(sendbuff, recvbuff, sendcount, datatype, handle(comm), handle(stream), kCaller<"tuttiAllGather">));
}

tuttiResult_t tuttiReduceScatter(const void* sendbuff, void* recvbuff, size_t recvcount, tuttiDataType_t datatype,
                                 tuttiRedOp_t op, tuttiComm_t comm, tuttiStream_t stream) {
  return result(
      front::reduce_scatter(sendbuff, recvbuff, recvcount, datatype, op, handle(comm), handle(stream), kCaller<"tuttiReduceScatter">));
}

tuttiResult_t tuttiAlltoAll(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, tuttiComm_t comm,
                            tuttiStream_t stream) {
  return result(front::all_to_all(sendbuff, recvbuff, count, datatype, handle(comm), handle(stream), kCaller<"tuttiAlltoAll">));
}

tuttiResult_t tuttiGather(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, int root,
                          tuttiComm_t comm, tuttiStream_t stream) {
  return result(front::gather(sendbuff, recvbuff, count, datatype, root, handle(comm), handle(stream), kCaller<"tuttiGather">));
}

tuttiResult_t tuttiScatter(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, int root,
                           tuttiComm_t comm, tuttiStream_t stream) {
  return result(front::scatter(sendbuff, recvbuff, count, datatype, root, handle(comm), handle(stream), kCaller<"tuttiScatter">));
}

tuttiResult_t tuttiBarrier(tuttiComm_t comm, tuttiStream_t stream) {
  return result(front::barrier(handle(comm), handle(stream), kCaller<"tuttiBarrier">));
}

tuttiResult_t tuttiSend(const void* sendbuff, size_t count, tuttiDataType_t datatype, int peer, tuttiComm_t comm,
                        tuttiStream_t stream) {
  return result(front::send(sendbuff, count, datatype, peer, handle(comm), handle(stream), kCaller<"tuttiSend">));
}

tuttiResult_t tuttiRecv(void* recvbuff, size_t count, tuttiDataType_t datatype, int peer, tuttiComm_t comm,
                        tuttiStream_t stream) {
  return result(front::recv(recvbuff, count, datatype, peer, handle(comm), handle(stream), kCaller<"tuttiRecv">));
}

tuttiResult_t tuttiAllGatherV(const void* sendbuff, void* recvbuff, const size_t recvcounts[], const size_t rdispls[],
                              tuttiDataType_t datatype, tuttiComm_t comm, tuttiStream_t stream) {
  return result(front::all_gather_v(sendbuff, recvbuff, recvcounts, rdispls, datatype, handle(comm), handle(stream),
                                    kCaller<"tuttiAllGatherV">));
}

tuttiResult_t tuttiReduceScatterV(const void* sendbuff, void* recvbuff, const size_t recvcounts[], tuttiDataType_t datatype,
                                  tuttiRedOp_t op, tuttiComm_t comm, tuttiStream_t stream) {
  return result(front::reduce_scatter_v(sendbuff, recvbuff, recvcounts, datatype, op, handle(comm), handle(stream),
                                        kCaller<"tuttiReduceScatterV">));
}

tuttiResult_t tuttiAlltoAllV(const void* sendbuff, const size_t sendcounts[], const size_t sdispls[], void* recvbuff,
                             const size_t recvcounts[], const size_t rdispls[], tuttiDataType_t datatype, tuttiComm_t comm,
                             tuttiStream_t stream) {
  return result(front::all_to_all_v(sendbuff, sendcounts, sdispls, recvbuff, recvcounts, rdispls, datatype, handle(comm),
                                    handle(stream), kCaller<"tuttiAlltoAllV">));
}

// ---- groups

tuttiResult_t tuttiGroupStart(void) { return result(front::group_start(kCaller<"tuttiGroupStart">)); }

tuttiResult_t tuttiGroupEnd(void) { return result(front::group_end(kCaller<"tuttiGroupEnd">)); }

// ---- host streams

tuttiResult_t tuttiStreamCreate(tuttiStream_t* stream) { return result(front::stream_create(stream, kCaller<"tuttiStreamCreate">)); }

tuttiResult_t tuttiStreamSynchronize(tuttiStream_t stream) {
  return result(front::stream_synchronize(handle(stream), kCaller<"tuttiStreamSynchronize">));
}

tuttiResult_t tuttiStreamQuery(tuttiStream_t stream) {
  return result(front::stream_query(handle(stream), kCaller<"tuttiStreamQuery">));
}

tuttiResult_t tuttiStreamDestroy(tuttiStream_t stream) {
  return result(front::stream_destroy(handle(stream), kCaller<"tuttiStreamDestroy">));
}

// ---- memory

tuttiResult_t tuttiMemAlloc(void** ptr, size_t size) { return result(front::mem_alloc(ptr, size, kCaller<"tuttiMemAlloc">)); }

tuttiResult_t tuttiMemFree(void* ptr) { return result(front::mem_free(ptr, kCaller<"tuttiMemFree">)); }

tuttiResult_t tuttiCommRegister(tuttiComm_t comm, void* buff, size_t size, void** handle_out) {
  return result(front::comm_register(handle(comm), buff, size, handle_out, kCaller<"tuttiCommRegister">));
}

tuttiResult_t tuttiCommDeregister(tuttiComm_t comm, void* registration) {
  return result(front::comm_deregister(handle(comm), registration, kCaller<"tuttiCommDeregister">));
}

// ---- reduction operators

tuttiResult_t tuttiRedOpCreatePreMulSum(tuttiRedOp_t* op, void* scalar, tuttiDataType_t datatype,
                                        tuttiScalarResidence_t residence, tuttiComm_t comm) {
  int made = 0;
  const Code code = front::make_pre_mul_sum(op ? &made : nullptr, scalar, datatype, residence, handle(comm),
                                            kCaller<"tuttiRedOpCreatePreMulSum">);
  if (code == Code::Success) *op = static_cast<tuttiRedOp_t>(made);
  return result(code);
}

tuttiResult_t tuttiRedOpDestroy(tuttiRedOp_t op, tuttiComm_t comm) {
  return result(front::destroy_op(op, handle(comm), kCaller<"tuttiRedOpDestroy">));
}

}  // extern "C"

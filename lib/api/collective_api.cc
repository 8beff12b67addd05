// collective_api: the C calls that move data: check everything, say what is wrong, hand over.
#include <numeric>

#include "lib/api/entry.h"

namespace tutti {
namespace {

// Which buffers a call uses on this rank, in elements; for the checks that all calls share.
struct Buffers {
  size_t send_count, recv_count;        // 0: not used here
  bool in_place_allowed = true;
  size_t in_place_send = 0, in_place_recv = 0;  // in place: send + in_place_send == recv + in_place_recv (elements)
  const char* send_name = "sendbuff";
  const char* recv_name = "recvbuff";
};

[[gnu::cold]] Status bad_type(int type) {
  return fail(Code::InvalidArgument, "datatype ", type, " is none of the ", kTypes, " types");
}

[[gnu::cold]] Status bad_rank(const char* what, int value, int ranks) {
  return fail(Code::InvalidArgument, what, " is ", value, ", must be 0..", ranks - 1);
}

Status null_argument(const char* name) {
  return fail(Code::InvalidArgument, name, " is NULL");
}

bool apart(uintptr_t a, size_t a_bytes, uintptr_t b, size_t b_bytes) { return a + a_bytes <= b || b + b_bytes <= a; }

[[gnu::noinline]] Status check_unusual_buffers(const Call& call, const Buffers& buffers) {
  const size_t element = size_of(call.type);
  const size_t most = std::max(buffers.send_count, buffers.recv_count);
  if (most > PTRDIFF_MAX / element)
    return fail(Code::InvalidArgument, "a buffer of ", most, " elements of ", name_of(call.type),
                " is larger than the address space");
  if (buffers.send_count > 0 && !call.send) return null_argument(buffers.send_name);
  if (buffers.recv_count > 0 && !call.recv) return null_argument(buffers.recv_name);
  if (buffers.send_count == 0 || buffers.recv_count == 0) return {};
  const uintptr_t send = reinterpret_cast<uintptr_t>(call.send), recv = reinterpret_cast<uintptr_t>(call.recv);
  if (apart(send, buffers.send_count * element, recv, buffers.recv_count * element)) return {};
  if (buffers.in_place_allowed && send + buffers.in_place_send * element == recv + buffers.in_place_recv * element) return {};
  return fail(Code::InvalidArgument, "sendbuff and recvbuff overlap",
              buffers.in_place_allowed ? " but are not placed as an in-place call has them (see tutti.h)"
                                       : ", and this call cannot work in place");
}

// Most calls: buffers of a reasonable size, apart.
inline Status check_buffers(const Call& call, const Buffers& buffers) {
  const size_t element = size_of(call.type);
  const uintptr_t send = reinterpret_cast<uintptr_t>(call.send), recv = reinterpret_cast<uintptr_t>(call.recv);
  if (std::max(buffers.send_count, buffers.recv_count) < PTRDIFF_MAX / 8 && (send != 0 || buffers.send_count == 0) &&
      (recv != 0 || buffers.recv_count == 0) && apart(send, buffers.send_count * element, recv, buffers.recv_count * element)) [[likely]]
    return {};
  return check_unusual_buffers(call, buffers);
}

size_t times(size_t count, int ranks) {
  size_t product;
  return __builtin_mul_overflow(count, static_cast<size_t>(ranks), &product) ? SIZE_MAX : product;
}

// What every call that moves data begins with; `body(comm)` has a communicator that can be used.
template <typename Body>
tuttiResult_t call_on(const char* function, tuttiComm_t comm, int type, const Body& body) {
  return enter_call(function, [&] {
    return noting(function, [&]() -> Status {
      const CallGuard guard(comm);
      if (!guard) return bad_comm();
      if (!guard->ready()) return guard->refusal();
      if (static_cast<unsigned>(type) >= static_cast<unsigned>(kTypes)) return bad_type(type);
      return body(*guard.get());
    });
  });
}

// `shape(me, ranks)` says which buffers are used. A call of no elements runs like any other, so that ranks whose counts differ
// hear of it.
template <typename Shape>
tuttiResult_t collective(const char* function, CallKind kind, const void* send, void* recv, size_t count, int type, int op,
                         int root, tuttiComm_t comm, tuttiStream_t stream, Shape shape) {
  return call_on(function, comm, type, [&](Comm& object) -> Status {
    if (static_cast<unsigned>(root) >= static_cast<unsigned>(object.ranks()))
      return bad_rank("root", root, object.ranks());
    Call call;
    call.kind = kind;
    call.type = static_cast<Type>(type);
    call.op = op;
    call.root = root;
    call.count = count;
    call.send = send;
    call.recv = recv;
    if (op != 0) TUTTI_TRY(object.check_op(op, call.type));
    TUTTI_TRY(check_buffers(call, shape(object.rank(), object.ranks())));
    return dispatch(comm, object, stream, std::move(call));
  });
}

template <bool kSends>
tuttiResult_t point_to_point(const char* function, void* data, size_t count, int type, int peer, tuttiComm_t comm,
                             tuttiStream_t stream) {
  return call_on(function, comm, type, [&](Comm& object) -> Status {
    if (static_cast<unsigned>(peer) >= static_cast<unsigned>(object.ranks()))
      return bad_rank("peer", peer, object.ranks());
    Call call;
    call.kind = CallKind::PointToPoint;
    call.sends = kSends;
    call.type = static_cast<Type>(type);
    call.root = peer;
    call.count = count;
    if (kSends) {
      call.send = data;
    } else {
      call.recv = data;
    }
    TUTTI_TRY(check_buffers(call, {kSends ? count : 0, kSends ? 0 : count}));
    if (peer == object.rank() && !stream && !in_group())
      return fail(Code::InvalidUsage, "a rank that sends to itself must do so, and receive, in one group");
    return dispatch(comm, object, stream, std::move(call));
  });
}

// ---- the V collectives

std::vector<size_t> packed(const std::vector<size_t>& counts) {
  std::vector<size_t> starts(counts.size());
  std::exclusive_scan(counts.begin(), counts.end(), starts.begin(), size_t{0});
  return starts;
}

std::vector<size_t> starts_or_packed(const size_t* starts, const std::vector<size_t>& counts) {
  return starts ? std::vector<size_t>(starts, starts + counts.size()) : packed(counts);
}

// Elements from the buffer's start to the end of its last block; SIZE_MAX if that overflows.
size_t extent(const std::vector<size_t>& starts, const std::vector<size_t>& counts) {
  size_t end = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    size_t block_end;
    if (__builtin_add_overflow(starts[i], counts[i], &block_end)) return SIZE_MAX;
    if (counts[i] > 0) end = std::max(end, block_end);
  }
  return end;
}

template <typename Prepare>  // prepare(blocks, me, ranks) -> Result<Buffers>
tuttiResult_t vector_collective(const char* function, CallKind kind, const void* send, void* recv, int type, int op,
                                tuttiComm_t comm, tuttiStream_t stream, Prepare prepare) {
  return call_on(function, comm, type, [&](Comm& object) -> Status {
    Call call;
    call.kind = kind;
    call.type = static_cast<Type>(type);
    call.op = op;
    call.send = send;
    call.recv = recv;
    TUTTI_TRY(object.check_op(op, call.type));
    auto blocks = std::make_unique<Call::Blocks>();
    Result<Buffers> buffers = prepare(*blocks, static_cast<size_t>(object.rank()), static_cast<size_t>(object.ranks()));
    if (!buffers.ok()) return buffers.status();
    TUTTI_TRY(check_buffers(call, buffers.value()));
    call.blocks = std::move(blocks);
    return dispatch(comm, object, stream, std::move(call));
  });
}

}  // namespace
}  // namespace tutti

using namespace tutti;

extern "C" {

tuttiResult_t tuttiAllReduce(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, tuttiRedOp_t op,
                             tuttiComm_t comm, tuttiStream_t stream) {
  return collective("tuttiAllReduce", CallKind::AllReduce, sendbuff, recvbuff, count, datatype, op, 0, comm, stream,
                    [&](int, int) { return Buffers{count, count}; });
}

tuttiResult_t tuttiReduce(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, tuttiRedOp_t op,
                          int root, tuttiComm_t comm, tuttiStream_t stream) {
  return collective("tuttiReduce", CallKind::Reduce, sendbuff, recvbuff, count, datatype, op, root, comm, stream,
                    [&](int me, int) { return Buffers{count, me == root ? count : 0}; });
}

tuttiResult_t tuttiBroadcast(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, int root,
                             tuttiComm_t comm, tuttiStream_t stream) {
  return collective("tuttiBroadcast", CallKind::Broadcast, sendbuff, recvbuff, count, datatype, 0, root, comm, stream,
                    [&](int me, int) { return Buffers{me == root ? count : 0, count}; });
}

tuttiResult_t tuttiBcast(void* buff, size_t count, tuttiDataType_t datatype, int root, tuttiComm_t comm,
                         tuttiStream_t stream) {
  return collective("tuttiBcast", CallKind::Broadcast, buff, buff, count, datatype, 0, root, comm, stream,
                    [&](int me, int) { return Buffers{me == root ? count : 0, count, true, 0, 0, "buff", "buff"}; });
}

tuttiResult_t tuttiAllGather(const void* sendbuff, void* recvbuff, size_t sendcount, tuttiDataType_t datatype,
                             tuttiComm_t comm, tuttiStream_t stream) {
  return collective("tuttiAllGather", CallKind::AllGather, sendbuff, recvbuff, sendcount, datatype, 0, 0, comm, stream,
                    [&](int me, int ranks) {
                      return Buffers{sendcount, times(sendcount, ranks), true, 0, sendcount * static_cast<size_t>(me)};
                    });
}

tuttiResult_t tuttiReduceScatter(const void* sendbuff, void* recvbuff, size_t recvcount, tuttiDataType_t datatype,
                                 tuttiRedOp_t op, tuttiComm_t comm, tuttiStream_t stream) {
  return collective("tuttiReduceScatter", CallKind::ReduceScatter, sendbuff, recvbuff, recvcount, datatype, op, 0, comm, stream,
                    [&](int me, int ranks) {
                      return Buffers{times(recvcount, ranks), recvcount, true, recvcount * static_cast<size_t>(me), 0};
                    });
}

tuttiResult_t tuttiAlltoAll(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, tuttiComm_t comm,
                            tuttiStream_t stream) {
  return collective("tuttiAlltoAll", CallKind::AlltoAll, sendbuff, recvbuff, count, datatype, 0, 0, comm, stream,
                    [&](int, int ranks) { return Buffers{times(count, ranks), times(count, ranks)}; });
}

tuttiResult_t tuttiGather(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, int root,
                          tuttiComm_t comm, tuttiStream_t stream) {
  return collective("tuttiGather", CallKind::Gather, sendbuff, recvbuff, count, datatype, 0, root, comm, stream,
                    [&](int me, int ranks) {
                      return Buffers{count, me == root ? times(count, ranks) : 0, true, 0, count * static_cast<size_t>(me)};
                    });
}

tuttiResult_t tuttiScatter(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, int root,
                           tuttiComm_t comm, tuttiStream_t stream) {
  return collective("tuttiScatter", CallKind::Scatter, sendbuff, recvbuff, count, datatype, 0, root, comm, stream,
                    [&](int me, int ranks) {
                      return Buffers{me == root ? times(count, ranks) : 0, count, true, count * static_cast<size_t>(me), 0};
                    });
}

tuttiResult_t tuttiBarrier(tuttiComm_t comm, tuttiStream_t stream) {
  return call_on("tuttiBarrier", comm, 0,
                 [&](Comm& object) -> Status { return dispatch(comm, object, stream, Call{}); });
}

tuttiResult_t tuttiSend(const void* sendbuff, size_t count, tuttiDataType_t datatype, int peer, tuttiComm_t comm,
                        tuttiStream_t stream) {
  return point_to_point<true>("tuttiSend", const_cast<void*>(sendbuff), count, datatype, peer, comm, stream);
}

tuttiResult_t tuttiRecv(void* recvbuff, size_t count, tuttiDataType_t datatype, int peer, tuttiComm_t comm,
                        tuttiStream_t stream) {
  return point_to_point<false>("tuttiRecv", recvbuff, count, datatype, peer, comm, stream);
}

tuttiResult_t tuttiAllGatherV(const void* sendbuff, void* recvbuff, const size_t recvcounts[], const size_t rdispls[],
                              tuttiDataType_t datatype, tuttiComm_t comm, tuttiStream_t stream) {
  return vector_collective("tuttiAllGatherV", CallKind::AllGatherV, sendbuff, recvbuff, datatype, 0, comm, stream,
                           [&](Call::Blocks& blocks, size_t me, size_t ranks) -> Result<Buffers> {
                             if (!recvcounts) return null_argument("recvcounts");
                             blocks.recv_counts.assign(recvcounts, recvcounts + ranks);
                             blocks.recv_starts = starts_or_packed(rdispls, blocks.recv_counts);
                             return Buffers{recvcounts[me], extent(blocks.recv_starts, blocks.recv_counts), true, 0,
                                            blocks.recv_starts[me]};
                           });
}

tuttiResult_t tuttiReduceScatterV(const void* sendbuff, void* recvbuff, const size_t recvcounts[], tuttiDataType_t datatype,
                                  tuttiRedOp_t op, tuttiComm_t comm, tuttiStream_t stream) {
  return vector_collective("tuttiReduceScatterV", CallKind::ReduceScatterV, sendbuff, recvbuff, datatype, op, comm, stream,
                           [&](Call::Blocks& blocks, size_t me, size_t ranks) -> Result<Buffers> {
                             if (!recvcounts) return null_argument("recvcounts");
                             blocks.recv_counts.assign(recvcounts, recvcounts + ranks);
                             blocks.recv_starts = packed(blocks.recv_counts);
                             return Buffers{extent(blocks.recv_starts, blocks.recv_counts), recvcounts[me], true,
                                            blocks.recv_starts[me], 0};
                           });
}

tuttiResult_t tuttiAlltoAllV(const void* sendbuff, const size_t sendcounts[], const size_t sdispls[], void* recvbuff,
                             const size_t recvcounts[], const size_t rdispls[], tuttiDataType_t datatype, tuttiComm_t comm,
                             tuttiStream_t stream) {
  return vector_collective("tuttiAlltoAllV", CallKind::AlltoAllV, sendbuff, recvbuff, datatype, 0, comm, stream,
                           [&](Call::Blocks& blocks, size_t me, size_t ranks) -> Result<Buffers> {
                             if (!sendcounts) return null_argument("sendcounts");
                             if (!recvcounts) return null_argument("recvcounts");
                             if (sendcounts[me] != recvcounts[me])
                               return fail(Code::InvalidArgument, "this rank (", me, ") sends itself ",
                                           sendcounts[me], " elements but expects ", recvcounts[me]);
                             blocks.send_counts.assign(sendcounts, sendcounts + ranks);
                             blocks.recv_counts.assign(recvcounts, recvcounts + ranks);
                             blocks.send_starts = starts_or_packed(sdispls, blocks.send_counts);
                             blocks.recv_starts = starts_or_packed(rdispls, blocks.recv_counts);
                             return Buffers{extent(blocks.send_starts, blocks.send_counts),
                                            extent(blocks.recv_starts, blocks.recv_counts), false};
                           });
}

}  // extern "C"

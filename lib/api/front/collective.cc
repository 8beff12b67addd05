// collective: the front's calls that move data: check everything, say what is wrong, hand over.
#include <algorithm>
#include <numeric>

#include "lib/api/front/group.h"

namespace tutti::front {
namespace {

static_assert(static_cast<int>(BuiltInOp::Min) == static_cast<int>(Op::Min) && static_cast<int>(BuiltInOp::Avg) == kOpAvg &&
              kFirstMadeOp == kFirstUserOp);

// Which buffers a call uses on this rank, in elements; for the checks that all calls share.
struct Buffers {
  size_t send_count, recv_count;        // 0: not used here
  bool in_place_allowed = true;
  size_t in_place_send = 0, in_place_recv = 0;  // in place: send + in_place_send == recv + in_place_recv (elements)
  bool one_name = false;                // the call has one buffer
};

[[gnu::cold]] Status bad_type(int type, const Door& door) {
  return fail(Code::InvalidArgument, door.names.type, " ", type, " is none of the ", door.types.size(), " types");
}

// Writes what the door's number means.
inline Status read_type(int number, const Door& door, Type& type) {
  if (static_cast<size_t>(number) >= door.types.size()) [[unlikely]]
    return bad_type(number, door);
  type = door.types[static_cast<size_t>(number)];
  return {};
}

[[gnu::cold]] Status check_made_op(int op, Type type, const Comm& comm, const Door& door) {
  if (op >= kFirstMadeOp) return comm.check_op(op, type);
  return fail(Code::InvalidArgument, door.names.op, " ", op, " is no reduction operator");
}

// The same for an op on elements of `type`.
inline Status read_op(int number, Type type, const Comm& comm, const Door& door, int& op) {
  const bool built_in = static_cast<size_t>(number) < door.ops.size();
  op = built_in ? static_cast<int>(door.ops[static_cast<size_t>(number)]) : number;
  return built_in ? Status() : check_made_op(number, type, comm, door);
}

bool apart(uintptr_t a, size_t a_bytes, uintptr_t b, size_t b_bytes) { return a + a_bytes <= b || b + b_bytes <= a; }

[[gnu::noinline]] Status check_unusual_buffers(const Call& call, const Buffers& buffers, const Door& door) {
  const size_t element = size_of(call.type);
  const size_t most = std::max(buffers.send_count, buffers.recv_count);
  const char* const send_name = buffers.one_name ? door.names.buffer : door.names.send;
  const char* const recv_name = buffers.one_name ? door.names.buffer : door.names.recv;
  if (most > PTRDIFF_MAX / element)
    return fail(Code::InvalidArgument, "a buffer of ", most, " elements of ", name_of(call.type),
                " is larger than the address space");
  if (buffers.send_count > 0 && !call.send) return null_argument(send_name);
  if (buffers.recv_count > 0 && !call.recv) return null_argument(recv_name);
  if (buffers.send_count == 0 || buffers.recv_count == 0) return {};
  const uintptr_t send = reinterpret_cast<uintptr_t>(call.send), recv = reinterpret_cast<uintptr_t>(call.recv);
  if (apart(send, buffers.send_count * element, recv, buffers.recv_count * element)) return {};
  if (buffers.in_place_allowed && send + buffers.in_place_send * element == recv + buffers.in_place_recv * element) return {};
  if (!buffers.in_place_allowed)
    return fail(Code::InvalidArgument, send_name, " and ", recv_name, " overlap, and this call cannot work in place");
  return fail(Code::InvalidArgument, send_name, " and ", recv_name, " overlap but are not placed as an in-place call has them (see ",
              door.manual, ")");
}

// `shape()` says which buffers the call uses. It is asked again for an unusual call, so that a usual one keeps the answer in registers.
template <typename Shape>
Status check_buffers(const Call& call, const Shape& shape, const Door& door) {
  const Buffers buffers = shape();
  const size_t element = size_of(call.type);
  const uintptr_t send = reinterpret_cast<uintptr_t>(call.send), recv = reinterpret_cast<uintptr_t>(call.recv);
  if (std::max(buffers.send_count, buffers.recv_count) < PTRDIFF_MAX / 8 && (send != 0 || buffers.send_count == 0) &&
      (recv != 0 || buffers.recv_count == 0) && apart(send, buffers.send_count * element, recv, buffers.recv_count * element)) [[likely]]
    return {};
  return check_unusual_buffers(call, shape(), door);
}

size_t times(size_t count, int ranks) {
  size_t product;
  return __builtin_mul_overflow(count, static_cast<size_t>(ranks), &product) ? SIZE_MAX : product;
}

// What every call that moves data begins with; `body(comm)` has a communicator that can be used.
template <typename Body>
Code call_on(CommHandle comm, const Caller& caller, const Body& body) noexcept {
  return enter_call(caller, [&] {
    return noting(caller, [&]() -> Status {
      const CallGuard guard(comm);
      if (!guard) [[unlikely]]
        return bad_comm(caller);
      if (!guard->ready()) [[unlikely]]
        return guard->refusal();
      return body(*guard);
    });
  });
}

// A call as the door gave it: numbers are the door's, and not checked yet.
struct Request {
  CallKind kind;
  const void* send;
  void* recv;
  size_t count;
  int type;
  int op = 0, root = 0;
};

constexpr bool reduces(CallKind kind) {
  return kind == CallKind::AllReduce || kind == CallKind::Reduce || kind == CallKind::ReduceScatter || kind == CallKind::ReduceScatterV;
}

// `shape(me, ranks)` says which buffers are used. A call of no elements runs like any other, so that ranks whose counts differ
// hear of it.
template <typename Shape>
Code collective(const Request& request, CommHandle comm, StreamHandle stream, const Caller& caller, Shape shape) noexcept {
  return call_on(comm, caller, [&](Comm& object) -> Status {
    const Door& door = *caller.door;
    Type type{};
    TUTTI_TRY(read_type(request.type, door, type));
    if (static_cast<unsigned>(request.root) >= static_cast<unsigned>(object.ranks())) [[unlikely]]
      return bad_number(door.names.root, request.root, object.ranks() - 1);
    int op = 0;
    if (reduces(request.kind)) TUTTI_TRY(read_op(request.op, type, object, door, op));
    Call call{.kind = request.kind, .type = type, .op = op, .root = request.root, .count = request.count, .send = request.send,
              .recv = request.recv, .blocks = {}};
    TUTTI_TRY(check_buffers(call, [&] { return shape(object.rank(), object.ranks()); }, door));
    return dispatch(comm, object, stream, std::move(call), caller);
  });
}

Code point_to_point(bool sends, void* data, size_t count, int type, int peer, CommHandle comm, StreamHandle stream,
                    const Caller& caller) noexcept {
  return call_on(comm, caller, [&](Comm& object) -> Status {
    const Door& door = *caller.door;
    Type element{};
    TUTTI_TRY(read_type(type, door, element));
    if (static_cast<unsigned>(peer) >= static_cast<unsigned>(object.ranks())) [[unlikely]]
      return bad_number(sends ? door.names.send_peer : door.names.recv_peer, peer, object.ranks() - 1);
    Call call{.kind = CallKind::PointToPoint, .sends = sends, .type = element, .root = peer, .count = count,
              .send = sends ? data : nullptr, .recv = sends ? nullptr : data, .blocks = {}};
    TUTTI_TRY(check_buffers(call, [&] { return Buffers{sends ? count : 0, sends ? 0 : count}; }, door));
    if (peer == object.rank() && number_of(stream) == 0 && !in_group())
      return fail(Code::InvalidUsage, "a rank that sends to itself must do so, and receive, in one group");
    return dispatch(comm, object, stream, std::move(call), caller);
  });
}

// ---- blocks of different sizes

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
Code vector_collective(const Request& request, CommHandle comm, StreamHandle stream,
                       const Caller& caller, Prepare prepare) noexcept {
  return call_on(comm, caller, [&](Comm& object) -> Status {
    const Door& door = *caller.door;
    Type type{};
    TUTTI_TRY(read_type(request.type, door, type));
    int op = 0;
    if (reduces(request.kind)) TUTTI_TRY(read_op(request.op, type, object, door, op));
    auto blocks = std::make_unique<Call::Blocks>();
    Result<Buffers> buffers = prepare(*blocks, static_cast<size_t>(object.rank()), static_cast<size_t>(object.ranks()));
    if (!buffers.ok()) return buffers.status();
    Call call{.kind = request.kind, .type = type, .op = op, .send = request.send, .recv = request.recv, .blocks = std::move(blocks)};
    TUTTI_TRY(check_buffers(call, [&] { return buffers.value(); }, door));
    return dispatch(comm, object, stream, std::move(call), caller);
  });
}

}  // namespace

Code all_reduce(const void* send, void* recv, size_t count, int type, int op, CommHandle comm, StreamHandle stream,
                const Caller& caller) noexcept {
  return collective({CallKind::AllReduce, send, recv, count, type, op}, comm, stream, caller,
                    [&](int, int) { return Buffers{count, count}; });
}

Code reduce(const void* send, void* recv, size_t count, int type, int op, int root, CommHandle comm, StreamHandle stream,
            const Caller& caller) noexcept {
  return collective({CallKind::Reduce, send, recv, count, type, op, root}, comm, stream, caller,
                    [&](int me, int) { return Buffers{count, me == root ? count : 0}; });
}

Code broadcast(const void* send, void* recv, size_t count, int type, int root, CommHandle comm, StreamHandle stream,
               const Caller& caller) noexcept {
  return collective({CallKind::Broadcast, send, recv, count, type, 0, root}, comm, stream, caller,
                    [&](int me, int) { return Buffers{me == root ? count : 0, count}; });
}

Code broadcast_in_place(void* buffer, size_t count, int type, int root, CommHandle comm, StreamHandle stream,
                        const Caller& caller) noexcept {
  return collective({CallKind::Broadcast, buffer, buffer, count, type, 0, root}, comm, stream, caller,
                    [&](int me, int) { return Buffers{me == root ? count : 0, count, true, 0, 0, true}; });
}

Code all_gather(const void* send, void* recv, size_t send_count, int type, CommHandle comm, StreamHandle stream,
                const Caller& caller) noexcept {
  return collective({CallKind::AllGather, send, recv, send_count, type}, comm, stream, caller, [&](int me, int ranks) {
    return Buffers{send_count, times(send_count, ranks), true, 0, send_count * static_cast<size_t>(me)};
  });
}

Code reduce_scatter(const void* send, void* recv, size_t recv_count, int type, int op, CommHandle comm, StreamHandle stream,
                    const Caller& caller) noexcept {
  return collective({CallKind::ReduceScatter, send, recv, recv_count, type, op}, comm, stream, caller, [&](int me, int ranks) {
    return Buffers{times(recv_count, ranks), recv_count, true, recv_count * static_cast<size_t>(me), 0};
  });
}

Code all_to_all(const void* send, void* recv, size_t count, int type, CommHandle comm, StreamHandle stream,
                const Caller& caller) noexcept {
  return collective({CallKind::AlltoAll, send, recv, count, type}, comm, stream, caller,
                    [&](int, int ranks) { return Buffers{times(count, ranks), times(count, ranks)}; });
}

Code gather(const void* send, void* recv, size_t count, int type, int root, CommHandle comm, StreamHandle stream,
            const Caller& caller) noexcept {
  return collective({CallKind::Gather, send, recv, count, type, 0, root}, comm, stream, caller, [&](int me, int ranks) {
    return Buffers{count, me == root ? times(count, ranks) : 0, true, 0, count * static_cast<size_t>(me)};
  });
}

Code scatter(const void* send, void* recv, size_t count, int type, int root, CommHandle comm, StreamHandle stream,
             const Caller& caller) noexcept {
  return collective({CallKind::Scatter, send, recv, count, type, 0, root}, comm, stream, caller, [&](int me, int ranks) {
    return Buffers{me == root ? times(count, ranks) : 0, count, true, count * static_cast<size_t>(me), 0};
  });
}

Code barrier(CommHandle comm, StreamHandle stream, const Caller& caller) noexcept {
  return call_on(comm, caller, [&](Comm& object) { return dispatch(comm, object, stream, Call{}, caller); });
}

Code send(const void* data, size_t count, int type, int peer, CommHandle comm, StreamHandle stream,
          const Caller& caller) noexcept {
  return point_to_point(true, const_cast<void*>(data), count, type, peer, comm, stream, caller);
}

Code recv(void* data, size_t count, int type, int peer, CommHandle comm, StreamHandle stream, const Caller& caller) noexcept {
  return point_to_point(false, data, count, type, peer, comm, stream, caller);
}

Code all_gather_v(const void* send, void* recv, const size_t* recv_counts, const size_t* recv_starts, int type, CommHandle comm,
                  StreamHandle stream, const Caller& caller) noexcept {
  return vector_collective({CallKind::AllGatherV, send, recv, 0, type}, comm, stream, caller,
                           [&](Call::Blocks& blocks, size_t me, size_t ranks) -> Result<Buffers> {
                             if (!recv_counts) return null_argument(caller.door->names.recv_counts);
                             blocks.recv_counts.assign(recv_counts, recv_counts + ranks);
                             blocks.recv_starts = starts_or_packed(recv_starts, blocks.recv_counts);
                             return Buffers{recv_counts[me], extent(blocks.recv_starts, blocks.recv_counts), true, 0,
                                            blocks.recv_starts[me]};
                           });
}

Code reduce_scatter_v(const void* send, void* recv, const size_t* recv_counts, int type, int op, CommHandle comm, StreamHandle stream,
                      const Caller& caller) noexcept {
  return vector_collective({CallKind::ReduceScatterV, send, recv, 0, type, op}, comm, stream, caller,
                           [&](Call::Blocks& blocks, size_t me, size_t ranks) -> Result<Buffers> {
                             if (!recv_counts) return null_argument(caller.door->names.recv_counts);
                             blocks.recv_counts.assign(recv_counts, recv_counts + ranks);
                             blocks.recv_starts = packed(blocks.recv_counts);
                             return Buffers{extent(blocks.recv_starts, blocks.recv_counts), recv_counts[me], true,
                                            blocks.recv_starts[me], 0};
                           });
}

Code all_to_all_v(const void* send, const size_t* send_counts, const size_t* send_starts, void* recv, const size_t* recv_counts,
                  const size_t* recv_starts, int type, CommHandle comm, StreamHandle stream, const Caller& caller) noexcept {
  return vector_collective({CallKind::AlltoAllV, send, recv, 0, type}, comm, stream, caller,
                           [&](Call::Blocks& blocks, size_t me, size_t ranks) -> Result<Buffers> {
                             const Names& names = caller.door->names;
                             if (!send_counts || !recv_counts) return null_argument(send_counts ? names.recv_counts : names.send_counts);
                             if (send_counts[me] != recv_counts[me])
                               return fail(Code::InvalidArgument, "this rank (", me, ") sends itself ", send_counts[me],
                                           " elements but expects ", recv_counts[me]);
                             blocks.send_counts.assign(send_counts, send_counts + ranks);
                             blocks.recv_counts.assign(recv_counts, recv_counts + ranks);
                             blocks.send_starts = starts_or_packed(send_starts, blocks.send_counts);
                             blocks.recv_starts = starts_or_packed(recv_starts, blocks.recv_counts);
                             return Buffers{extent(blocks.send_starts, blocks.send_counts),
                                            extent(blocks.recv_starts, blocks.recv_counts), false};
                           });
}

}  // namespace tutti::front

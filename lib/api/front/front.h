// front: the rules of every call, for all doors.
//
// A door is a C API: its functions translate their arguments, call one function of this file, and translate the result. The front decides
// what is checked and in which order, what a group does, and what happens on a failure. The door says what things are called, so that
// sentences name the user's functions and arguments, and which numbers its types and ops have.
//
// Doors in one process share everything behind this file: handles, the heap, and each thread's last error and open group. libtutti.so
// exports these functions to doors in other libraries, with a symbol version that changes with this file (docs/doors.md).
//
// No function throws. A failure leaves a sentence for last_error(). InvalidArgument: nothing has happened. tutti.h documents the calls.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/code.h"
#include "lib/dtype/dtype.h"

namespace tutti::front {

// A door's handles, as numbers. 0 is none.
enum class CommHandle : uintptr_t {};
enum class StreamHandle : uintptr_t {};  // none: the call returns when the result is there
// Where a new handle goes: the address of a handle of the door, which has a pointer's size. In a group it may be written by group_end().
using HandleOut = void*;

enum class BuiltInOp : uint8_t { Sum, Prod, Max, Min, Avg };
inline constexpr int kFirstMadeOp = 5;   // ops from make_pre_mul_sum() have this number or a higher one at every door
inline constexpr int kNoColor = -1;
inline constexpr size_t kIdBytes = 128;  // of a unique id

// The names of arguments in sentences. The defaults are NCCL's.
struct Names {
  const char* comm = "comm";
  const char* comms = "comms";
  const char* new_comm = "newcomm";
  const char* ranks = "nranks";
  const char* rank = "rank";
  const char* id = "uniqueId";
  const char* devices = "ndev";
  const char* device_list = "devlist";
  const char* color = "color";
  const char* config = "config";
  const char* blocking = "config->blocking";
  const char* timeout = "config->timeoutMs";
  const char* revoke_flags = "revokeFlags";
  const char* count = "count";
  const char* async_error = "asyncError";
  const char* version = "version";
  const char* send = "sendbuff";
  const char* recv = "recvbuff";
  const char* buffer = "buff";  // of calls that have only one
  const char* type = "datatype";
  const char* op = "op";
  const char* root = "root";
  const char* send_peer = "peer";
  const char* recv_peer = "peer";
  const char* send_counts = "sendcounts";
  const char* recv_counts = "recvcounts";
  const char* stream = "stream";
  const char* pointer = "ptr";
  const char* size = "size";
  const char* handle = "handle";
  const char* scalar = "scalar";
  const char* residence = "residence";
};

struct Door {
  // What sentences refer to. Empty: the door has no function whose sentences need it.
  const char* group_start = "";
  const char* mem_alloc = "";
  const char* comm_register = "";
  const char* no_color = "";  // kNoColor
  const char* manual = "";    // where the rules of in-place calls are
  // By the door's numbers; kFirstMadeOp ops at most.
  std::span<const Type> types;
  std::span<const BuiltInOp> ops;
  Names names{};
};

// Who calls: a function of a door. It is the last argument of every function here, so that a door can pass on the others in the registers
// in which they came. All of it lives as long as the process.
struct Caller {
  const Door* door;
  const char* function;
};
// For a door's callers: template <FunctionName name> constexpr Caller kCaller{&kDoor, name.text}; then kCaller<"itsFunction">.
template <size_t n>
struct FunctionName {
  char text[n]{};
  consteval FunctionName(const char (&name)[n]) { std::copy_n(name, n, text); }
};

// What of a door's configuration struct concerns a communicator.
struct Config {
  static constexpr int kUnset = INT32_MIN;
  const char* wrong = nullptr;  // the struct cannot be read; this is the end of the sentence "config ..."
  int blocking = kUnset;        // 0 or 1
  int timeout_ms = kUnset;
  const char* name = nullptr;   // copied
};

#pragma GCC visibility push(default)

// ---- errors
const char* last_error(CommHandle comm, const Caller& caller) noexcept;
Code get_version(int* version, int value, const Caller& caller) noexcept;  // value: what the door says

// ---- communicators
Code get_unique_id(void* id, const Caller& caller) noexcept;  // writes kIdBytes
Code init_rank(HandleOut comm, int ranks, const void* id, int rank, const Config& config, const Caller& caller) noexcept;
Code init_all(HandleOut comms, int ranks, const int* devices, const Caller& caller) noexcept;
Code split(CommHandle comm, int color, int key, HandleOut new_comm, const Config& config, const Caller& caller) noexcept;
Code finalize(CommHandle comm, const Caller& caller) noexcept;
Code destroy(CommHandle comm, const Caller& caller) noexcept;
Code revoke(CommHandle comm, int flags, const Caller& caller) noexcept;
Code abort(CommHandle comm, const Caller& caller) noexcept;
Code get_count(CommHandle comm, int* count, const Caller& caller) noexcept;
Code get_rank(CommHandle comm, int* rank, const Caller& caller) noexcept;
Code get_async_error(CommHandle comm, Code* error, const Caller& caller) noexcept;

// ---- collectives, sends and receives
Code all_reduce(const void* send, void* recv, size_t count, int type, int op, CommHandle comm, StreamHandle stream,
                const Caller& caller) noexcept;
Code reduce(const void* send, void* recv, size_t count, int type, int op, int root, CommHandle comm, StreamHandle stream,
            const Caller& caller) noexcept;
Code broadcast(const void* send, void* recv, size_t count, int type, int root, CommHandle comm, StreamHandle stream,
               const Caller& caller) noexcept;
Code broadcast_in_place(void* buffer, size_t count, int type, int root, CommHandle comm, StreamHandle stream,
                        const Caller& caller) noexcept;
Code all_gather(const void* send, void* recv, size_t send_count, int type, CommHandle comm, StreamHandle stream,
                const Caller& caller) noexcept;
Code reduce_scatter(const void* send, void* recv, size_t recv_count, int type, int op, CommHandle comm, StreamHandle stream,
                    const Caller& caller) noexcept;
Code all_to_all(const void* send, void* recv, size_t count, int type, CommHandle comm, StreamHandle stream,
                const Caller& caller) noexcept;
Code gather(const void* send, void* recv, size_t count, int type, int root, CommHandle comm, StreamHandle stream,
            const Caller& caller) noexcept;
Code scatter(const void* send, void* recv, size_t count, int type, int root, CommHandle comm, StreamHandle stream,
             const Caller& caller) noexcept;
Code barrier(CommHandle comm, StreamHandle stream, const Caller& caller) noexcept;
Code send(const void* data, size_t count, int type, int peer, CommHandle comm, StreamHandle stream,
          const Caller& caller) noexcept;
Code recv(void* data, size_t count, int type, int peer, CommHandle comm, StreamHandle stream, const Caller& caller) noexcept;
// Blocks of different sizes. Starts may be null: packed.
Code all_gather_v(const void* send, void* recv, const size_t* recv_counts, const size_t* recv_starts, int type, CommHandle comm,
                  StreamHandle stream, const Caller& caller) noexcept;
Code reduce_scatter_v(const void* send, void* recv, const size_t* recv_counts, int type, int op, CommHandle comm, StreamHandle stream,
                      const Caller& caller) noexcept;
Code all_to_all_v(const void* send, const size_t* send_counts, const size_t* send_starts, void* recv, const size_t* recv_counts,
                  const size_t* recv_starts, int type, CommHandle comm, StreamHandle stream, const Caller& caller) noexcept;

// ---- groups
Code group_start(const Caller& caller) noexcept;
Code group_end(const Caller& caller) noexcept;

// ---- host streams
Code stream_create(HandleOut stream, const Caller& caller) noexcept;
Code stream_synchronize(StreamHandle stream, const Caller& caller) noexcept;
Code stream_query(StreamHandle stream, const Caller& caller) noexcept;
Code stream_destroy(StreamHandle stream, const Caller& caller) noexcept;

// ---- memory and ops
Code mem_alloc(void** pointer, size_t size, const Caller& caller) noexcept;
Code mem_free(void* pointer, const Caller& caller) noexcept;
Code comm_register(CommHandle comm, void* buffer, size_t size, void** handle, const Caller& caller) noexcept;
Code comm_deregister(CommHandle comm, void* handle, const Caller& caller) noexcept;
// residence: 0: the scalar is read when a call runs, 1: now.
Code make_pre_mul_sum(int* op, const void* scalar, int type, int residence, CommHandle comm, const Caller& caller) noexcept;
Code destroy_op(int op, CommHandle comm, const Caller& caller) noexcept;

#pragma GCC visibility pop

}  // namespace tutti::front

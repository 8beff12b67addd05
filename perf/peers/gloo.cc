// gloo: tutti.h's calls made by Gloo, over its TCP transport on this host's loopback. See peer.h.
//
// Not part of Tutti; only all_reduce_perf_gloo and its like link it. Started like Tutti's own benchmarks, by -p. The ranks meet
// through files in a temporary directory whose name is the unique id; rank 0 removes it when all are connected.
//
// Gloo's way with every collective is its new-style call with its default algorithm, but for reduce-scatter, which it has as a
// class with buffers of its own only: the message is copied in and the result out. It wants a result's room on every rank of a
// reduce, and has no all-to-all in place: scratch serves both.
#include <gloo/allgather.h>
#include <gloo/allgatherv.h>
#include <gloo/allreduce.h>
#include <gloo/alltoall.h>
#include <gloo/alltoallv.h>
#include <gloo/barrier.h>
#include <gloo/broadcast.h>
#include <gloo/gather.h>
#include <gloo/math.h>
#include <gloo/reduce.h>
#include <gloo/reduce_scatter.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/scatter.h>
#include <gloo/transport/tcp/device.h>
#include <stdlib.h>

#include <cstring>
#include <exception>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "perf/collective.h"
#include "perf/peers/peer.h"

using tutti::perf::peer_error;
using tutti::perf::unsupported;

namespace {

using Reducer = void (*)(void*, const void*, const void*, size_t);
using Buffer = std::unique_ptr<gloo::transport::UnboundBuffer>;

// Of one type, op and count. Its constructor talks to the peers, so it is made by all ranks alike and kept.
struct ReduceScatter {
  tuttiDataType_t type;
  tuttiRedOp_t op;
  size_t count;
  std::vector<std::byte> message;
  std::unique_ptr<gloo::Algorithm> algorithm;
};

struct Unsupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace

struct tuttiComm {
  std::shared_ptr<gloo::rendezvous::Context> context;
  std::vector<std::byte> scratch;
  std::unique_ptr<ReduceScatter> reduce_scatter;
  std::byte* scratch_of(size_t bytes) {
    if (scratch.size() < bytes) scratch.resize(bytes);
    return scratch.data();
  }
};

namespace {

// No exception may cross the C boundary.
template <typename Body>
tuttiResult_t guarded(tuttiStream_t stream, Body body) {
  if (stream) return unsupported("Gloo has no streams: use -y 1");
  try {
    body();
    return tuttiSuccess;
  } catch (const Unsupported& error) {
    return unsupported(error.what());
  } catch (const std::exception& error) {
    return peer_error(tuttiSystemError, error.what());
  }
}

// Calls body(T{}) with Gloo's type for `type`.
template <typename Body>
void with_type(tuttiDataType_t type, Body body) {
  switch (type) {
    case tuttiInt8: return body(int8_t{});
    case tuttiUint8: return body(uint8_t{});
    case tuttiInt32: return body(int32_t{});
    case tuttiUint32: return body(uint32_t{});
    case tuttiInt64: return body(int64_t{});
    case tuttiUint64: return body(uint64_t{});
    case tuttiFloat16: return body(gloo::float16{});
    case tuttiFloat32: return body(float{});
    case tuttiFloat64: return body(double{});
    default: throw Unsupported("Gloo has no such type");
  }
}

template <typename T>
Reducer reducer_of(tuttiRedOp_t op) {
  switch (op) {
    case tuttiSum: return gloo::sum<T>;
    case tuttiProd: return gloo::product<T>;
    case tuttiMax: return gloo::max<T>;
    case tuttiMin: return gloo::min<T>;
    default: throw Unsupported("Gloo has no such op");
  }
}

template <typename T>
const gloo::ReductionFunction<T>* function_of(tuttiRedOp_t op) {
  switch (op) {
    case tuttiSum: return gloo::ReductionFunction<T>::sum;
    case tuttiProd: return gloo::ReductionFunction<T>::product;
    case tuttiMax: return gloo::ReductionFunction<T>::max;
    case tuttiMin: return gloo::ReductionFunction<T>::min;
    default: throw Unsupported("Gloo has no such op");
  }
}

size_t ranks_of(tuttiComm_t comm) {
  return static_cast<size_t>(comm->context->size);
}
std::byte* bytes_at(const void* base, size_t offset = 0) {
  return static_cast<std::byte*>(const_cast<void*>(base)) + offset;
}

ReduceScatter& reduce_scatter_of(tuttiComm_t comm, tuttiDataType_t type, tuttiRedOp_t op, size_t count) {
  std::unique_ptr<ReduceScatter>& kept = comm->reduce_scatter;
  if (kept && kept->type == type && kept->op == op && kept->count == count) return *kept;
  const size_t total = count * ranks_of(comm);
  if (total > INT32_MAX) throw Unsupported("Gloo's reduce-scatter counts with int");
  kept = std::make_unique<ReduceScatter>(ReduceScatter{type, op, count, {}, {}});
  kept->message.resize(total * tutti::perf::size_of(type));
  with_type(type, [&](auto zero) {
    using T = decltype(zero);
    const std::vector<T*> messages{reinterpret_cast<T*>(kept->message.data())};
    kept->algorithm = std::make_unique<gloo::ReduceScatterHalvingDoubling<T>>(
        comm->context, messages, static_cast<int>(total), std::vector<int>(ranks_of(comm), static_cast<int>(count)),
        function_of<T>(op));
  });
  return *kept;
}

}  // namespace

extern "C" {

tuttiResult_t tuttiGetUniqueId(tuttiUniqueId* id) {
  return guarded(nullptr, [&] {
    std::string path = (std::filesystem::temp_directory_path() / "tutti-gloo-XXXXXX").string();
    if (path.size() >= sizeof *id) throw std::runtime_error(path + ": the temporary directory's name is too long");
    if (!mkdtemp(path.data())) throw std::runtime_error(path + ": " + std::strerror(errno));
    std::memset(id, 0, sizeof *id);
    std::memcpy(id, path.data(), path.size());
  });
}

tuttiResult_t tuttiCommInitRank(tuttiComm_t* comm, int nranks, tuttiUniqueId id, int rank) {
  const std::string path = reinterpret_cast<const char*>(&id);
  const tuttiResult_t result = guarded(nullptr, [&] {
    auto made = std::make_unique<tuttiComm>();
    auto device = gloo::transport::tcp::CreateDevice("127.0.0.1");
    made->context = std::make_shared<gloo::rendezvous::Context>(rank, nranks);
    gloo::rendezvous::FileStore store(path);
    made->context->connectFullMesh(store, device);
    gloo::BarrierOptions options(made->context);
    gloo::barrier(options);
    *comm = made.release();
  });
  if (rank == 0) {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  return result;
}

tuttiResult_t tuttiCommDestroy(tuttiComm_t comm) {
  return guarded(nullptr, [&] { delete comm; });
}

tuttiResult_t tuttiAllReduce(const void* send, void* recv, size_t count, tuttiDataType_t type, tuttiRedOp_t op,
                             tuttiComm_t comm, tuttiStream_t stream) {
  return guarded(stream, [&] {
    with_type(type, [&](auto zero) {
      using T = decltype(zero);
      gloo::AllreduceOptions options(comm->context);
      if (send != recv) options.setInput(static_cast<T*>(const_cast<void*>(send)), count);
      options.setOutput(static_cast<T*>(recv), count);
      options.setReduceFunction(reducer_of<T>(op));
      gloo::allreduce(options);
    });
  });
}

tuttiResult_t tuttiReduce(const void* send, void* recv, size_t count, tuttiDataType_t type, tuttiRedOp_t op, int root,
                          tuttiComm_t comm, tuttiStream_t stream) {
  return guarded(stream, [&] {
    with_type(type, [&](auto zero) {
      using T = decltype(zero);
      if (comm->context->rank != root) recv = comm->scratch_of(count * sizeof(T));
      gloo::ReduceOptions options(comm->context);
      if (send != recv) options.setInput(static_cast<T*>(const_cast<void*>(send)), count);
      options.setOutput(static_cast<T*>(recv), count);
      options.setRoot(root);
      options.setReduceFunction(reducer_of<T>(op));
      gloo::reduce(options);
    });
  });
}

tuttiResult_t tuttiReduceScatter(const void* send, void* recv, size_t count, tuttiDataType_t type, tuttiRedOp_t op,
                                 tuttiComm_t comm, tuttiStream_t stream) {
  return guarded(stream, [&] {
    ReduceScatter& mine = reduce_scatter_of(comm, type, op, count);
    std::memcpy(mine.message.data(), send, mine.message.size());
    mine.algorithm->run();
    std::memcpy(recv, mine.message.data(), count * tutti::perf::size_of(type));
  });
}

// Below nothing is computed: bytes are moved, of any type.

tuttiResult_t tuttiBroadcast(const void* send, void* recv, size_t count, tuttiDataType_t type, int root, tuttiComm_t comm,
                             tuttiStream_t stream) {
  return guarded(stream, [&] {
    const size_t bytes = count * tutti::perf::size_of(type);
    gloo::BroadcastOptions options(comm->context);
    if (comm->context->rank == root && send != recv) options.setInput(bytes_at(send), bytes);
    options.setOutput(bytes_at(recv), bytes);
    options.setRoot(root);
    gloo::broadcast(options);
  });
}

tuttiResult_t tuttiAllGather(const void* send, void* recv, size_t count, tuttiDataType_t type, tuttiComm_t comm,
                             tuttiStream_t stream) {
  return guarded(stream, [&] {
    const size_t bytes = count * tutti::perf::size_of(type);
    gloo::AllgatherOptions options(comm->context);
    if (send != bytes_at(recv, static_cast<size_t>(comm->context->rank) * bytes)) options.setInput(bytes_at(send), bytes);
    options.setOutput(bytes_at(recv), bytes * ranks_of(comm));
    gloo::allgather(options);
  });
}

tuttiResult_t tuttiGather(const void* send, void* recv, size_t count, tuttiDataType_t type, int root, tuttiComm_t comm,
                          tuttiStream_t stream) {
  return guarded(stream, [&] {
    const size_t bytes = count * tutti::perf::size_of(type);
    gloo::GatherOptions options(comm->context);
    options.setInput(bytes_at(send), bytes);
    if (comm->context->rank == root) options.setOutput(bytes_at(recv), bytes * ranks_of(comm));
    options.setRoot(root);
    gloo::gather(options);
  });
}

tuttiResult_t tuttiScatter(const void* send, void* recv, size_t count, tuttiDataType_t type, int root, tuttiComm_t comm,
                           tuttiStream_t stream) {
  return guarded(stream, [&] {
    const size_t bytes = count * tutti::perf::size_of(type);
    gloo::ScatterOptions options(comm->context);
    std::vector<std::byte*> blocks;
    for (size_t r = 0; r < ranks_of(comm); ++r) blocks.push_back(bytes_at(send, r * bytes));
    if (comm->context->rank == root) options.setInputs(blocks, bytes);
    options.setOutput(bytes_at(recv), bytes);
    options.setRoot(root);
    gloo::scatter(options);
  });
}

tuttiResult_t tuttiAlltoAll(const void* send, void* recv, size_t count, tuttiDataType_t type, tuttiComm_t comm,
                            tuttiStream_t stream) {
  return guarded(stream, [&] {
    const size_t bytes = count * tutti::perf::size_of(type) * ranks_of(comm);
    if (send == recv) send = std::memcpy(comm->scratch_of(bytes), send, bytes);
    gloo::AlltoallOptions options(comm->context);
    options.setInput(bytes_at(send), bytes);
    options.setOutput(bytes_at(recv), bytes);
    gloo::alltoall(options);
  });
}

// Gloo lays the blocks end to end, as the benchmark does: it has no use for the starts.
tuttiResult_t tuttiAlltoAllV(const void* send, const size_t send_counts[], const size_t[], void* recv,
                             const size_t recv_counts[], const size_t[], tuttiDataType_t type, tuttiComm_t comm,
                             tuttiStream_t stream) {
  return guarded(stream, [&] {
    std::vector<int64_t> sent, received;
    for (size_t r = 0; r < ranks_of(comm); ++r) {
      sent.push_back(static_cast<int64_t>(send_counts[r] * tutti::perf::size_of(type)));
      received.push_back(static_cast<int64_t>(recv_counts[r] * tutti::perf::size_of(type)));
    }
    gloo::AlltoallvOptions options(comm->context);
    options.setInput(bytes_at(send), sent);
    options.setOutput(bytes_at(recv), received);
    gloo::alltoallv(options);
  });
}

tuttiResult_t tuttiAllGatherV(const void* send, void* recv, const size_t recv_counts[], const size_t[], tuttiDataType_t type,
                              tuttiComm_t comm, tuttiStream_t stream) {
  return guarded(stream, [&] {
    std::vector<size_t> bytes;
    for (size_t r = 0; r < ranks_of(comm); ++r) bytes.push_back(recv_counts[r] * tutti::perf::size_of(type));
    const size_t mine = bytes[static_cast<size_t>(comm->context->rank)];
    gloo::AllgathervOptions options(comm->context);
    options.setInput(bytes_at(send), mine);
    options.setOutput(bytes_at(recv), bytes);
    gloo::allgatherv(options);
  });
}

tuttiResult_t tuttiReduceScatterV(const void*, void*, const size_t[], tuttiDataType_t, tuttiRedOp_t, tuttiComm_t,
                                  tuttiStream_t) {
  return unsupported("reduce-scatter over Gloo has blocks of one length here");
}

// The benchmark's exchanges are one send and one receive in a group: started here, completed by GroupEnd.
static std::vector<Buffer> g_sends, g_receives;
static constexpr uint64_t kSlot = 0;  // no collective's: theirs have a prefix

tuttiResult_t tuttiSend(const void* send, size_t count, tuttiDataType_t type, int peer, tuttiComm_t comm,
                        tuttiStream_t stream) {
  return guarded(stream, [&] {
    g_sends.push_back(comm->context->createUnboundBuffer(bytes_at(send), count * tutti::perf::size_of(type)));
    g_sends.back()->send(peer, kSlot);
  });
}

tuttiResult_t tuttiRecv(void* recv, size_t count, tuttiDataType_t type, int peer, tuttiComm_t comm, tuttiStream_t stream) {
  return guarded(stream, [&] {
    g_receives.push_back(comm->context->createUnboundBuffer(recv, count * tutti::perf::size_of(type)));
    g_receives.back()->recv(peer, kSlot);
  });
}

tuttiResult_t tuttiGroupStart(void) {
  return tuttiSuccess;
}
tuttiResult_t tuttiGroupEnd(void) {
  return guarded(nullptr, [&] {
    for (const Buffer& buffer : g_receives) buffer->waitRecv();
    for (const Buffer& buffer : g_sends) buffer->waitSend();
    g_receives.clear();
    g_sends.clear();
  });
}

tuttiResult_t tuttiBarrier(tuttiComm_t comm, tuttiStream_t stream) {
  return guarded(stream, [&] {
    gloo::BarrierOptions options(comm->context);
    gloo::barrier(options);
  });
}

}  // extern "C"

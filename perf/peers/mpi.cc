// mpi: tutti.h's calls made by an MPI library: Open MPI or MPICH, whichever the build compiles this with. See peer.h.
//
// Not part of Tutti; only all_reduce_perf_openmpi, all_reduce_perf_mpich and their like link it. The types and ops that MPI has.
// Start under that library's own mpirun.
#include <mpi.h>

#include <climits>
#include <cstring>
#include <string>
#include <vector>

#include "perf/peers/peer.h"

using tutti::perf::peer_error;
using tutti::perf::unsupported;

struct tuttiComm {
  int rank, ranks;
};

namespace {

tuttiResult_t result_of(int code) {
  if (code == MPI_SUCCESS) return tuttiSuccess;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  return peer_error(tuttiSystemError, std::string(text, static_cast<size_t>(length)));
}

bool type_of(tuttiDataType_t type, MPI_Datatype* mpi, size_t* bytes) {
  switch (type) {
    case tuttiInt8: *mpi = MPI_INT8_T; break;
    case tuttiUint8: *mpi = MPI_UINT8_T; break;
    case tuttiInt32: *mpi = MPI_INT32_T; break;
    case tuttiUint32: *mpi = MPI_UINT32_T; break;
    case tuttiInt64: *mpi = MPI_INT64_T; break;
    case tuttiUint64: *mpi = MPI_UINT64_T; break;
    case tuttiFloat32: *mpi = MPI_FLOAT; break;
    case tuttiFloat64: *mpi = MPI_DOUBLE; break;
    default: return false;
  }
  int size = 0;
  MPI_Type_size(*mpi, &size);
  *bytes = static_cast<size_t>(size);
  return true;
}

bool op_of(tuttiRedOp_t op, MPI_Op* mpi) {
  switch (op) {
    case tuttiSum: *mpi = MPI_SUM; return true;
    case tuttiProd: *mpi = MPI_PROD; return true;
    case tuttiMax: *mpi = MPI_MAX; return true;
    case tuttiMin: *mpi = MPI_MIN; return true;
    default: return false;
  }
}

// Translates the arguments and calls `body(count, type, op, bytes of one element)`.
template <typename Body>
tuttiResult_t with(size_t count, tuttiDataType_t type, tuttiRedOp_t op, tuttiStream_t stream, Body body) {
  MPI_Datatype mpi_type;
  MPI_Op mpi_op;
  size_t bytes;
  if (stream) return unsupported("MPI has no streams: use -y 1");
  if (!type_of(type, &mpi_type, &bytes)) return unsupported("MPI has no such type");
  if (!op_of(op, &mpi_op)) return unsupported("MPI has no such op");
  if (count > INT_MAX) return unsupported("MPI counts with int");
  return result_of(body(static_cast<int>(count), mpi_type, mpi_op, bytes));
}

const void* in_place_if(bool in_place, const void* buffer) {
  return in_place ? MPI_IN_PLACE : buffer;
}

const char* at(const void* base, size_t elements, size_t bytes) {
  return static_cast<const char*>(base) + elements * bytes;
}

}  // namespace

extern "C" {

tuttiResult_t tuttiGetUniqueId(tuttiUniqueId* id) {
  std::memset(id, 0, sizeof *id);
  return tuttiSuccess;
}

tuttiResult_t tuttiCommInitRank(tuttiComm_t* comm, int nranks, tuttiUniqueId, int rank) {
  MPI_Init(nullptr, nullptr);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  *comm = new tuttiComm{};
  MPI_Comm_rank(MPI_COMM_WORLD, &(*comm)->rank);
  MPI_Comm_size(MPI_COMM_WORLD, &(*comm)->ranks);
  if ((*comm)->rank != rank || (*comm)->ranks != nranks)
    return peer_error(tuttiInvalidUsage, "start this program under its library's own mpirun, one rank per process");
  return tuttiSuccess;
}

tuttiResult_t tuttiCommDestroy(tuttiComm_t comm) {
  delete comm;
  return result_of(MPI_Finalize());
}

tuttiResult_t tuttiAllReduce(const void* send, void* recv, size_t count, tuttiDataType_t type, tuttiRedOp_t op, tuttiComm_t,
                             tuttiStream_t stream) {
  return with(count, type, op, stream, [&](int n, MPI_Datatype t, MPI_Op o, size_t) {
    return MPI_Allreduce(in_place_if(send == recv, send), recv, n, t, o, MPI_COMM_WORLD);
  });
}

tuttiResult_t tuttiReduce(const void* send, void* recv, size_t count, tuttiDataType_t type, tuttiRedOp_t op, int root,
                          tuttiComm_t comm, tuttiStream_t stream) {
  return with(count, type, op, stream, [&](int n, MPI_Datatype t, MPI_Op o, size_t) {
    return MPI_Reduce(in_place_if(comm->rank == root && send == recv, send), recv, n, t, o, root, MPI_COMM_WORLD);
  });
}

// MPI's is in place everywhere; out of place the root's own copy comes on top, as in Tutti.
tuttiResult_t tuttiBroadcast(const void* send, void* recv, size_t count, tuttiDataType_t type, int root, tuttiComm_t comm,
                             tuttiStream_t stream) {
  return with(count, type, tuttiSum, stream, [&](int n, MPI_Datatype t, MPI_Op, size_t bytes) {
    if (comm->rank != root) return MPI_Bcast(recv, n, t, root, MPI_COMM_WORLD);
    const int code = MPI_Bcast(const_cast<void*>(send), n, t, root, MPI_COMM_WORLD);
    if (send != recv) std::memcpy(recv, send, count * bytes);
    return code;
  });
}

tuttiResult_t tuttiAllGather(const void* send, void* recv, size_t count, tuttiDataType_t type, tuttiComm_t comm,
                             tuttiStream_t stream) {
  return with(count, type, tuttiSum, stream, [&](int n, MPI_Datatype t, MPI_Op, size_t bytes) {
    const bool in_place = send == at(recv, count * static_cast<size_t>(comm->rank), bytes);
    return MPI_Allgather(in_place_if(in_place, send), n, t, recv, n, t, MPI_COMM_WORLD);
  });
}

// In place MPI leaves the result at the buffer's start, not in block `rank`: there only the out-of-place half is comparable.
tuttiResult_t tuttiReduceScatter(const void* send, void* recv, size_t count, tuttiDataType_t type, tuttiRedOp_t op,
                                 tuttiComm_t comm, tuttiStream_t stream) {
  return with(count, type, op, stream, [&](int n, MPI_Datatype t, MPI_Op o, size_t bytes) {
    if (recv != at(send, count * static_cast<size_t>(comm->rank), bytes))
      return MPI_Reduce_scatter_block(send, recv, n, t, o, MPI_COMM_WORLD);
    const int code = MPI_Reduce_scatter_block(MPI_IN_PLACE, const_cast<void*>(send), n, t, o, MPI_COMM_WORLD);
    std::memmove(recv, send, count * bytes);
    return code;
  });
}

tuttiResult_t tuttiAlltoAll(const void* send, void* recv, size_t count, tuttiDataType_t type, tuttiComm_t,
                            tuttiStream_t stream) {
  return with(count, type, tuttiSum, stream, [&](int n, MPI_Datatype t, MPI_Op, size_t) {
    return MPI_Alltoall(in_place_if(send == recv, send), n, t, recv, n, t, MPI_COMM_WORLD);
  });
}

tuttiResult_t tuttiGather(const void* send, void* recv, size_t count, tuttiDataType_t type, int root, tuttiComm_t comm,
                          tuttiStream_t stream) {
  return with(count, type, tuttiSum, stream, [&](int n, MPI_Datatype t, MPI_Op, size_t bytes) {
    const bool in_place = comm->rank == root && send == at(recv, count * static_cast<size_t>(root), bytes);
    return MPI_Gather(in_place_if(in_place, send), n, t, recv, n, t, root, MPI_COMM_WORLD);
  });
}

tuttiResult_t tuttiScatter(const void* send, void* recv, size_t count, tuttiDataType_t type, int root, tuttiComm_t comm,
                           tuttiStream_t stream) {
  return with(count, type, tuttiSum, stream, [&](int n, MPI_Datatype t, MPI_Op, size_t bytes) {
    const bool in_place = comm->rank == root && recv == at(send, count * static_cast<size_t>(root), bytes);
    return MPI_Scatter(send, n, t, in_place ? MPI_IN_PLACE : recv, n, t, root, MPI_COMM_WORLD);
  });
}

tuttiResult_t tuttiAlltoAllV(const void* send, const size_t send_counts[], const size_t send_starts[], void* recv,
                             const size_t recv_counts[], const size_t recv_starts[], tuttiDataType_t type, tuttiComm_t comm,
                             tuttiStream_t stream) {
  return with(0, type, tuttiSum, stream, [&](int, MPI_Datatype t, MPI_Op, size_t) {
    const size_t* const given[] = {send_counts, send_starts, recv_counts, recv_starts};
    std::vector<int> lists[4];
    for (int i = 0; i < 4; ++i) lists[i].assign(given[i], given[i] + comm->ranks);
    return MPI_Alltoallv(send, lists[0].data(), lists[1].data(), t, recv, lists[2].data(), lists[3].data(), t,
                         MPI_COMM_WORLD);
  });
}

// The blocks' lengths, and where each starts, packed, as MPI wants them.
struct Blocks {
  std::vector<int> counts, starts;
  Blocks(const size_t given[], int ranks) : counts(given, given + ranks), starts(counts.size()) {
    for (size_t r = 1; r < counts.size(); ++r) starts[r] = starts[r - 1] + counts[r - 1];
  }
};

// The benchmark's blocks are packed: displacements are NULL.
tuttiResult_t tuttiAllGatherV(const void* send, void* recv, const size_t counts[], const size_t[], tuttiDataType_t type,
                              tuttiComm_t comm, tuttiStream_t stream) {
  return with(0, type, tuttiSum, stream, [&](int, MPI_Datatype t, MPI_Op, size_t bytes) {
    const Blocks blocks(counts, comm->ranks);
    const auto rank = static_cast<size_t>(comm->rank);
    const bool in_place = send == at(recv, static_cast<size_t>(blocks.starts[rank]), bytes);
    return MPI_Allgatherv(in_place_if(in_place, send), blocks.counts[rank], t, recv, blocks.counts.data(),
                          blocks.starts.data(), t, MPI_COMM_WORLD);
  });
}

// In place as with ReduceScatter.
tuttiResult_t tuttiReduceScatterV(const void* send, void* recv, const size_t counts[], tuttiDataType_t type, tuttiRedOp_t op,
                                  tuttiComm_t comm, tuttiStream_t stream) {
  return with(0, type, op, stream, [&](int, MPI_Datatype t, MPI_Op o, size_t bytes) {
    const Blocks blocks(counts, comm->ranks);
    const auto rank = static_cast<size_t>(comm->rank);
    if (recv != at(send, static_cast<size_t>(blocks.starts[rank]), bytes))
      return MPI_Reduce_scatter(send, recv, blocks.counts.data(), t, o, MPI_COMM_WORLD);
    const int code = MPI_Reduce_scatter(MPI_IN_PLACE, const_cast<void*>(send), blocks.counts.data(), t, o, MPI_COMM_WORLD);
    std::memmove(recv, send, counts[rank] * bytes);
    return code;
  });
}

// The benchmark's exchanges are one send and one receive in a group: started here, completed by GroupEnd.
static std::vector<MPI_Request> g_requests;

tuttiResult_t tuttiSend(const void* send, size_t count, tuttiDataType_t type, int peer, tuttiComm_t, tuttiStream_t stream) {
  return with(count, type, tuttiSum, stream, [&](int n, MPI_Datatype t, MPI_Op, size_t) {
    g_requests.emplace_back();
    return MPI_Isend(send, n, t, peer, 0, MPI_COMM_WORLD, &g_requests.back());
  });
}

tuttiResult_t tuttiRecv(void* recv, size_t count, tuttiDataType_t type, int peer, tuttiComm_t, tuttiStream_t stream) {
  return with(count, type, tuttiSum, stream, [&](int n, MPI_Datatype t, MPI_Op, size_t) {
    g_requests.emplace_back();
    return MPI_Irecv(recv, n, t, peer, 0, MPI_COMM_WORLD, &g_requests.back());
  });
}

tuttiResult_t tuttiGroupStart(void) {
  return tuttiSuccess;
}
tuttiResult_t tuttiGroupEnd(void) {
  const int code = MPI_Waitall(static_cast<int>(g_requests.size()), g_requests.data(), MPI_STATUSES_IGNORE);
  g_requests.clear();
  return result_of(code);
}

tuttiResult_t tuttiBarrier(tuttiComm_t, tuttiStream_t) {
  return result_of(MPI_Barrier(MPI_COMM_WORLD));
}

}  // extern "C"

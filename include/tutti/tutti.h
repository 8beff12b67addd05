/* Tutti: topology-aware collective communication for host memory and accelerators.
 *
 * The vocabulary, signatures, enum values and in-place rules are NCCL's under the prefix "tutti"; what NCCL lacks
 * (Barrier, the V collectives, host streams) stands in sections of its own.
 *
 * Rules that hold for every call unless it says otherwise:
 *  - Counts are in elements of `datatype`, never in bytes. Buffers need no alignment beyond that of one byte.
 *  - Memory is the caller's. A buffer handed to a call on stream NULL is free again when the call returns; on a stream,
 *    when tuttiStreamSynchronize() returns or tuttiStreamQuery() says tuttiSuccess.
 *  - stream == NULL on host memory: the call returns when the result is there. Any other stream: the call is queued and
 *    returns at once; calls on one stream complete in order.
 *  - Every rank of a communicator makes the same collective calls in the same order with the same count, type, op and
 *    root. Every message says which call it belongs to. The first message of another call ends in tuttiInvalidUsage, with a text
 *    that says what each rank called. No later call takes the data of that message.
 *  - A communicator is used by one thread at a time. Different communicators are independent. tuttiCommAbort(),
 *    tuttiCommRevoke(), tuttiCommGetAsyncError() and tuttiGetLastError() may be called from any thread at any time.
 *  - A count of zero is legal everywhere and moves nothing, but it is a call like any other: all ranks make it.
 *  - Communicators and streams do not survive fork(): in the child every call on their handles returns tuttiInvalidArgument. What the
 *    child does, and when it exits, does not affect the parent's communicators.
 *  - Results do not depend on the caller's floating-point mode: calls round to nearest and keep denormals.
 *  - A calling thread needs 64 KiB of stack. The library's own threads block all signals. The library sets no signal handler.
 *  - dlclose() does not unload the library.
 *  - Every error leaves a sentence for tuttiGetLastError(). If the call itself was wrong, the sentence begins with the function's name.
 *    tuttiInvalidArgument means that the call did nothing.
 *  - Nothing waits for ever: TUTTI_INIT_TIMEOUT and TUTTI_TIMEOUT (seconds) bound start-up and operations.
 */
#ifndef TUTTI_TUTTI_H
#define TUTTI_TUTTI_H

#include <limits.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TUTTI_MAJOR 1
#define TUTTI_MINOR 0
#define TUTTI_PATCH 0
/* X*10000 + Y*100 + Z, as NCCL counts since 2.9. */
#define TUTTI_VERSION_CODE (TUTTI_MAJOR * 10000 + TUTTI_MINOR * 100 + TUTTI_PATCH)

#if defined(__GNUC__)
#define TUTTI_API __attribute__((visibility("default")))
#else
#define TUTTI_API
#endif

/* ---------------------------------------------------------------- types */

typedef struct tuttiComm* tuttiComm_t;     /* one rank of a communicator */
typedef struct tuttiStream* tuttiStream_t; /* an ordered queue of asynchronous calls; NULL: synchronous */

/* The address of a rendezvous and the secret that admits to it. Opaque bytes: pass them to the other ranks by any
 * means that keeps them private (a pipe, MPI_Bcast, a job store). Whoever has them may join. */
#define TUTTI_UNIQUE_ID_BYTES 128
typedef struct {
  char internal[TUTTI_UNIQUE_ID_BYTES];
} tuttiUniqueId;

typedef enum {
  tuttiSuccess = 0,
  tuttiUnhandledDeviceError = 1, /* an accelerator's runtime failed (never on host memory) */
  tuttiSystemError = 2,          /* a call to the operating system failed */
  tuttiInternalError = 3,        /* a bug in Tutti: please report it */
  tuttiInvalidArgument = 4,      /* a bad value in this very call; nothing has happened */
  tuttiInvalidUsage = 5,         /* calls that do not fit together (different ranks, or wrong order) */
  tuttiRemoteError = 6,          /* another rank died, did not arrive in time, or failed first */
  tuttiInProgress = 7,           /* not done yet (tuttiStreamQuery, tuttiCommGetAsyncError) */
  tuttiNumResults = 8
} tuttiResult_t;

typedef enum {
  tuttiInt8 = 0, tuttiChar = 0,
  tuttiUint8 = 1,
  tuttiInt32 = 2, tuttiInt = 2,
  tuttiUint32 = 3,
  tuttiInt64 = 4,
  tuttiUint64 = 5,
  tuttiFloat16 = 6, tuttiHalf = 6,
  tuttiFloat32 = 7, tuttiFloat = 7,
  tuttiFloat64 = 8, tuttiDouble = 8,
  tuttiBfloat16 = 9,
  tuttiFloat8e4m3 = 10,
  tuttiFloat8e5m2 = 11,
  tuttiNumTypes = 12
} tuttiDataType_t;

/* Integers wrap around; integer avg is the wrapped sum divided by the number of ranks, truncated towards zero.
 * fp16, bf16 and fp8 are accumulated in fp32 wherever several ranks' values meet and rounded to nearest even; fp8
 * saturates at its largest finite value. max and min of a NaN and a number is the NaN. Float avg multiplies every
 * rank's value by 1/n (rounded to the type) before it sums, so that it does not overflow. Where all ranks receive a
 * result (AllReduce) they receive the same bits. */
typedef enum {
  tuttiSum = 0,
  tuttiProd = 1,
  tuttiMax = 2,
  tuttiMin = 3,
  tuttiAvg = 4,
  tuttiNumOps = 5, /* ops made by tuttiRedOpCreatePreMulSum start here */
  tuttiMaxRedOp = 0x7fffffff
} tuttiRedOp_t;

typedef enum {
  tuttiScalarDevice = 0,       /* the scalar is read when the operation runs; on host memory: a host pointer */
  tuttiScalarHostImmediate = 1 /* the scalar is read before tuttiRedOpCreatePreMulSum returns */
} tuttiScalarResidence_t;

#define TUTTI_CONFIG_UNDEF_INT INT_MIN
#define TUTTI_CONFIG_UNDEF_PTR NULL
#define TUTTI_CONFIG_MAGIC 0x7a771c0fu
#define TUTTI_SPLIT_NOCOLOR -1

/* Settings of one communicator. Always start from TUTTI_CONFIG_INITIALIZER. */
typedef struct {
  size_t size;          /* sizeof(tuttiConfig_t), by the initializer: lets the struct grow at its end */
  unsigned int magic;   /* TUTTI_CONFIG_MAGIC, by the initializer */
  unsigned int version; /* TUTTI_VERSION_CODE, by the initializer */
  int blocking;         /* 1 (default): init, split and finalize return when the work is done. 0: they start it, return
                           tuttiInProgress at once (inside a group, too: they do not wait for GroupEnd), and it goes on in
                           the background; poll tuttiCommGetAsyncError() until it no longer says tuttiInProgress. Until
                           then other calls than GetAsyncError, GetLastError, Revoke, Abort and Destroy are answered with
                           tuttiInvalidUsage. Abort and Destroy end an init or a split; Destroy waits for a finalize */
  int timeoutMs;        /* an operation without progress for so long is an error; default: TUTTI_TIMEOUT */
  const char* commName; /* a name for logs and errors; copied; default: none */
} tuttiConfig_t;

#define TUTTI_CONFIG_INITIALIZER                                                          \
  {                                                                                       \
    sizeof(tuttiConfig_t), TUTTI_CONFIG_MAGIC, TUTTI_VERSION_CODE, TUTTI_CONFIG_UNDEF_INT, \
        TUTTI_CONFIG_UNDEF_INT, TUTTI_CONFIG_UNDEF_PTR                                    \
  }

/* ---------------------------------------------------------------- version and errors */

/* Writes TUTTI_VERSION_CODE of the library that is loaded. Errors: InvalidArgument (NULL). Any thread. */
TUTTI_API tuttiResult_t tuttiGetVersion(int* version);

/* A constant sentence for a result; "unknown result code" for anything else. Never NULL. Any thread. */
TUTTI_API const char* tuttiGetErrorString(tuttiResult_t result);

/* The last error's full sentence: what was wrong, with which rank, in which operation, and what to do about it.
 * comm: that communicator's first failure. If it has none, or comm is NULL: this thread's last failed call. "" when nothing failed.
 * The text stays valid until the same thread calls this function again. Any thread. */
TUTTI_API const char* tuttiGetLastError(tuttiComm_t comm);

/* ---------------------------------------------------------------- communicators */

/* Makes an id for one communicator and starts its rendezvous, a listening socket in this process: the process must live
 * until all ranks have passed tuttiCommInitRank(). If no rank comes within TUTTI_INIT_TIMEOUT seconds, the rendezvous ends. Call it on
 * one rank and pass the bytes to the others. With TUTTI_COMM_ID=host:port[#secret] in the environment (unix:name[#secret] for ranks of
 * one host) every process gets the same id without any exchange, and rank 0 opens the rendezvous at that address.
 * Errors: InvalidArgument (NULL, or TUTTI_COMM_ID is not an address), SystemError (no socket, no thread). */
TUTTI_API tuttiResult_t tuttiGetUniqueId(tuttiUniqueId* uniqueId);

/* Joins a communicator of `nranks` ranks (1..1024) as `rank` (0..nranks-1). Blocks until all ranks have come, TUTTI_INIT_TIMEOUT
 * seconds (default 120) at most. On success *comm is owned by the caller until tuttiCommDestroy or tuttiCommAbort.
 * Errors: InvalidArgument (rank, nranks, a damaged id), RemoteError (ranks that did not come, named), InvalidUsage (a rank
 * given twice, or another nranks), SystemError. On error *comm is NULL. Ranks may be processes or threads, in any mix. */
TUTTI_API tuttiResult_t tuttiCommInitRank(tuttiComm_t* comm, int nranks, tuttiUniqueId commId, int rank);

/* The same with settings; config NULL: the defaults. With config->blocking == 0 it returns tuttiInProgress. */
TUTTI_API tuttiResult_t tuttiCommInitRankConfig(tuttiComm_t* comm, int nranks, tuttiUniqueId commId, int rank,
                                                tuttiConfig_t* config);

/* Makes `ndev` communicators, one per rank, in this process; comms has room for ndev handles. devlist is for accelerators
 * and may be NULL; on host memory its values only have to be >= 0. One thread may then drive all ranks: enclose each
 * collective over them in tuttiGroupStart/tuttiGroupEnd. Errors: InvalidArgument, SystemError. */
TUTTI_API tuttiResult_t tuttiCommInitAll(tuttiComm_t* comms, int ndev, const int* devlist);

/* Splits a communicator: ranks that give the same color (>= 0) form a new one, ordered by key, then by rank in `comm`.
 * TUTTI_SPLIT_NOCOLOR: this rank takes part in the call, and *newcomm becomes NULL. Collective over all ranks of comm, which
 * must have no other call in flight. Members that config leaves unset are taken from the parent; config NULL: all of them. If the parent was
 * made with blocking == 0, this call returns tuttiInProgress; poll the parent. Until the split has ended *newcomm is NULL, and the variable
 * must live. A failure is the parent's; if *newcomm is not NULL all the same, it is a communicator, and has to be destroyed. Ranks of other colors cannot join the new communicator: its secret is encrypted for each of its members.
 * Errors: InvalidArgument (color), RemoteError (a rank died, or did not call; the text names the rank and says what it does instead),
 * InvalidUsage, SystemError. If a rank fails before it has joined the others of its color, `comm` fails, too. */
TUTTI_API tuttiResult_t tuttiCommSplit(tuttiComm_t comm, int color, int key, tuttiComm_t* newcomm, tuttiConfig_t* config);

/* Completes all queued operations and leaves the other ranks: their later death or exit is no error here.
 * It checks that every message was received, and that all ranks made the same number of collective calls. If two ranks differ, the one
 * that leaves later gets InvalidUsage; the text names the ranks and the difference. Over UCX a message that nobody receives may end in
 * RemoteError instead (see tuttiCommDestroy). If the communicator has failed, nothing is checked. Only CommDestroy and CommAbort may follow.
 * A communicator with blocking == 0: returns tuttiInProgress; GetAsyncError later reports what was found, or CommDestroy, if it comes first. */
TUTTI_API tuttiResult_t tuttiCommFinalize(tuttiComm_t comm);

/* Finalizes if that was not done, then frees the communicator. The handle is invalid afterwards; using it again is
 * answered with tuttiInvalidArgument. Waits for other ranks only as far as queued operations do, and, between hosts, until they have
 * received what was sent to them. tuttiRemoteError names a rank that has not received it when the timeout ends. InvalidUsage: see
 * tuttiCommFinalize. The communicator is freed even if an error is returned.
 * Not inside a group that has collected calls on it: they would find it gone. */
TUTTI_API tuttiResult_t tuttiCommDestroy(tuttiComm_t comm);

/* Ends what is in flight on this communicator, here and on all other ranks, and every later call on it, with tuttiInvalidUsage:
 * "rank r revoked the communicator". Only CommDestroy and CommAbort may follow. Does not wait. revokeFlags must be 0. From any thread.
 * Errors: InvalidArgument, InvalidUsage (finalized), the communicator's failure if there is one already. */
TUTTI_API tuttiResult_t tuttiCommRevoke(tuttiComm_t comm, int revokeFlags);

/* Ends everything on this communicator here and on all other ranks: operations in flight return tuttiRemoteError (on this
 * rank: tuttiInvalidUsage "aborted"), and nothing touches user memory once this call returns. Frees the handle. If another thread is
 * inside a call on it, that call returns first. That thread may then call CommDestroy or CommAbort once, and that succeeds.
 * From any thread. */
TUTTI_API tuttiResult_t tuttiCommAbort(tuttiComm_t comm);

/* Number of ranks; this rank. Errors: InvalidArgument. */
TUTTI_API tuttiResult_t tuttiCommCount(tuttiComm_t comm, int* count);
TUTTI_API tuttiResult_t tuttiCommUserRank(tuttiComm_t comm, int* rank);

/* *asyncError: the first error of the communicator, tuttiInProgress while something goes on in the background
 * (config->blocking) or another thread finalizes, else tuttiSuccess. This call and tuttiGetLastError still work after another thread's CommAbort. Does not wait. Any
 * thread. */
TUTTI_API tuttiResult_t tuttiCommGetAsyncError(tuttiComm_t comm, tuttiResult_t* asyncError);

/* ---------------------------------------------------------------- collectives
 * Errors of all: InvalidArgument (NULL pointer with a count > 0, type, op, root or communicator out of range),
 * InvalidUsage (ranks called different operations), RemoteError (a rank died or did not come within TUTTI_TIMEOUT;
 * tuttiGetLastError names it). After InvalidUsage or RemoteError the communicator can only be aborted or destroyed. */

/* recvbuff[i] on every rank = op over all ranks' sendbuff[i], i < count. In place: sendbuff == recvbuff. */
TUTTI_API tuttiResult_t tuttiAllReduce(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype,
                                       tuttiRedOp_t op, tuttiComm_t comm, tuttiStream_t stream);

/* The same result on `root` only; recvbuff may be NULL elsewhere. In place on root: sendbuff == recvbuff. */
TUTTI_API tuttiResult_t tuttiReduce(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype,
                                    tuttiRedOp_t op, int root, tuttiComm_t comm, tuttiStream_t stream);

/* recvbuff on every rank = root's sendbuff (`count` elements); sendbuff may be NULL elsewhere. In place on root:
 * sendbuff == recvbuff. */
TUTTI_API tuttiResult_t tuttiBroadcast(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype,
                                       int root, tuttiComm_t comm, tuttiStream_t stream);

/* Broadcast in place on every rank: buff is the source on root, the destination elsewhere. */
TUTTI_API tuttiResult_t tuttiBcast(void* buff, size_t count, tuttiDataType_t datatype, int root, tuttiComm_t comm,
                                   tuttiStream_t stream);

/* recvbuff (nranks*sendcount elements) block r = rank r's sendbuff. In place: sendbuff == recvbuff + rank*sendcount. */
TUTTI_API tuttiResult_t tuttiAllGather(const void* sendbuff, void* recvbuff, size_t sendcount, tuttiDataType_t datatype,
                                       tuttiComm_t comm, tuttiStream_t stream);

/* sendbuff has nranks*recvcount elements; recvbuff = op over all ranks' block `rank`. In place: recvbuff == sendbuff +
 * rank*recvcount. */
TUTTI_API tuttiResult_t tuttiReduceScatter(const void* sendbuff, void* recvbuff, size_t recvcount, tuttiDataType_t datatype,
                                           tuttiRedOp_t op, tuttiComm_t comm, tuttiStream_t stream);

/* Both buffers have nranks*count elements; recvbuff block s = rank s's sendbuff block `rank`. In place: sendbuff ==
 * recvbuff. */
TUTTI_API tuttiResult_t tuttiAlltoAll(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype,
                                      tuttiComm_t comm, tuttiStream_t stream);

/* root's recvbuff (nranks*count elements) block r = rank r's sendbuff; recvbuff may be NULL elsewhere. In place on root:
 * sendbuff == recvbuff + root*count. */
TUTTI_API tuttiResult_t tuttiGather(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, int root,
                                    tuttiComm_t comm, tuttiStream_t stream);

/* recvbuff = block `rank` of root's sendbuff (nranks*count elements); sendbuff may be NULL elsewhere. In place on root:
 * recvbuff == sendbuff + root*count. */
TUTTI_API tuttiResult_t tuttiScatter(const void* sendbuff, void* recvbuff, size_t count, tuttiDataType_t datatype, int root,
                                     tuttiComm_t comm, tuttiStream_t stream);

/* Point to point: the k-th Send to a peer meets the peer's k-th Recv from here, with the same count and type. A Send may
 * return before the peer has received. Sends and receives that wait for one another belong into one group. */
TUTTI_API tuttiResult_t tuttiSend(const void* sendbuff, size_t count, tuttiDataType_t datatype, int peer, tuttiComm_t comm,
                                  tuttiStream_t stream);
TUTTI_API tuttiResult_t tuttiRecv(void* recvbuff, size_t count, tuttiDataType_t datatype, int peer, tuttiComm_t comm,
                                  tuttiStream_t stream);

/* Beyond NCCL. Returns (on a stream: completes) when every rank has called it. */
TUTTI_API tuttiResult_t tuttiBarrier(tuttiComm_t comm, tuttiStream_t stream);

/* Beyond NCCL: blocks of different sizes. All arrays have nranks entries, in elements, are copied before the call returns,
 * and displacements may be NULL for "packed in rank order". recvcounts is the same on every rank.
 * AllGatherV: sendbuff has recvcounts[rank] elements; block r lands at recvbuff + rdispls[r]. In place: sendbuff ==
 *   recvbuff + rdispls[rank].
 * ReduceScatterV: sendbuff holds blocks of recvcounts[r] elements, packed; recvbuff receives block `rank`. In place:
 *   recvbuff == sendbuff + (sum of recvcounts before rank).
 * AlltoAllV: sendcounts[d] elements at sdispls[d] go to rank d, whose recvcounts[this rank] must be equal; not in place. */
TUTTI_API tuttiResult_t tuttiAllGatherV(const void* sendbuff, void* recvbuff, const size_t recvcounts[],
                                        const size_t rdispls[], tuttiDataType_t datatype, tuttiComm_t comm,
                                        tuttiStream_t stream);
TUTTI_API tuttiResult_t tuttiReduceScatterV(const void* sendbuff, void* recvbuff, const size_t recvcounts[],
                                            tuttiDataType_t datatype, tuttiRedOp_t op, tuttiComm_t comm,
                                            tuttiStream_t stream);
TUTTI_API tuttiResult_t tuttiAlltoAllV(const void* sendbuff, const size_t sendcounts[], const size_t sdispls[],
                                       void* recvbuff, const size_t recvcounts[], const size_t rdispls[],
                                       tuttiDataType_t datatype, tuttiComm_t comm, tuttiStream_t stream);

/* ---------------------------------------------------------------- groups */

/* Calls between Start and End are collected and start together at the outermost End: sends and receives of a group run
 * concurrently, collectives of one communicator in order, different communicators concurrently, all driven by this
 * thread. Groups nest; their state is per thread. End returns the first error of a call in the group (then nothing was
 * started) or of the operations themselves. End without Start: InvalidUsage. If there
 * is no memory, Start returns SystemError and opens no group. */
TUTTI_API tuttiResult_t tuttiGroupStart(void);
TUTTI_API tuttiResult_t tuttiGroupEnd(void);

/* ---------------------------------------------------------------- host streams (beyond NCCL) */

/* A stream runs its calls in order in a thread of its own. Synchronize waits for what is queued and returns the first error of a call
 * on the stream since the last Synchronize. Query does not wait. It returns tuttiInProgress until everything queued is done, and then
 * what Synchronize would return; a later Synchronize returns it again. Destroy waits and returns what Synchronize would. Synchronize and
 * Query may be called from any thread. */
TUTTI_API tuttiResult_t tuttiStreamCreate(tuttiStream_t* stream);
TUTTI_API tuttiResult_t tuttiStreamSynchronize(tuttiStream_t stream);
TUTTI_API tuttiResult_t tuttiStreamQuery(tuttiStream_t stream);
TUTTI_API tuttiResult_t tuttiStreamDestroy(tuttiStream_t stream);

/* ---------------------------------------------------------------- memory */

/* Page-aligned zeroed memory of `size` bytes that other ranks of the host read and write in place. A message of 8 KiB or more from
 * it is not copied on the way. A message to it is not copied either, if it is a sum or does not fit the caches. While an operation runs,
 * ranks of the same communicator (and no others) may access the buffers it was given, never anything else. Otherwise it works like any
 * other memory. A forked child shares the memory that it inherits with its parent; the child's communicators treat it like memory from
 * malloc. MemFree takes a pointer that MemAlloc gave; any other is InvalidArgument. No operation may still use the memory. Any thread. */
TUTTI_API tuttiResult_t tuttiMemAlloc(void** ptr, size_t size);
TUTTI_API tuttiResult_t tuttiMemFree(void* ptr);

/* Announces a buffer that will be used often, so that a transport can prepare it. *handle is for Deregister, which must come
 * before the memory is freed and before the communicator is destroyed. Local and optional; between the ranks
 * of one host, memory from tuttiMemAlloc needs no announcement and other memory gains nothing from it. */
TUTTI_API tuttiResult_t tuttiCommRegister(tuttiComm_t comm, void* buff, size_t size, void** handle);
TUTTI_API tuttiResult_t tuttiCommDeregister(tuttiComm_t comm, void* handle);

/* ---------------------------------------------------------------- reduction operators */

/* Makes an op for this communicator: every rank's values are multiplied by *scalar (of `datatype`), then summed. The
 * scalar may differ between ranks. Destroy when no call uses it; ops die with the communicator. */
TUTTI_API tuttiResult_t tuttiRedOpCreatePreMulSum(tuttiRedOp_t* op, void* scalar, tuttiDataType_t datatype,
                                                  tuttiScalarResidence_t residence, tuttiComm_t comm);
TUTTI_API tuttiResult_t tuttiRedOpDestroy(tuttiRedOp_t op, tuttiComm_t comm);

#ifdef __cplusplus
}
#endif
#endif

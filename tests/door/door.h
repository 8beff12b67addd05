/* door: a C API of a few functions, for tests: other names, other arguments and other numbers than tutti.h, on the same engine. */
#ifndef TUTTI_TESTS_DOOR_H
#define TUTTI_TESTS_DOOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct doorComm* doorComm_t;
typedef struct doorStream* doorStream_t;
typedef struct {
  char bytes[200];
} doorId;
typedef enum { doorOk = 0, doorWait = 1, doorBad = 2, doorMisuse = 3, doorFailed = 4 } doorResult;
typedef enum { doorDouble = 0, doorFloat = 1, doorInt = 2 } doorType;
typedef enum { doorMax = 0, doorSum = 1 } doorOp;

doorResult doorGetId(doorId* id);
doorResult doorInit(uint32_t n, const doorId* id, uint32_t me, doorComm_t* comm);
doorResult doorDestroy(doorComm_t comm);
doorResult doorAllReduce(const void* in, void* out, uint64_t count, doorType type, doorOp op, doorComm_t comm, doorStream_t stream);
doorResult doorSend(const void* in, uint64_t count, doorType type, uint32_t to, doorComm_t comm, doorStream_t stream);
doorResult doorRecv(void* out, uint64_t count, doorType type, uint32_t from, doorComm_t comm, doorStream_t stream);
doorResult doorBegin(void);
doorResult doorEnd(void);
doorResult doorStreamCreate(doorStream_t* stream);
doorResult doorStreamWait(doorStream_t stream);
doorResult doorStreamDestroy(doorStream_t stream);
doorResult doorAllocate(void** memory, size_t bytes);
doorResult doorFree(void* memory);
const char* doorWhy(void);

#ifdef __cplusplus
}
#endif
#endif

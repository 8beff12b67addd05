/* program: ranks that are traced. trace_test.py runs it with tutti-run, in one of these ways:
 *   late      rank 2 comes 100 ms late to each of ten AllReduces
 *   killed    rank 1 kills itself while the others wait for it
 *   many      streams, groups, splits, odd names, communicators one after the other
 *   threads   all ranks in one process
 *   fork      a child of a rank makes a communicator of its own
 *   quick     short calls, as fast as they go
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tutti/tutti.h"

static int rank, ranks;

static void check(tuttiResult_t result) {
  if (result == tuttiSuccess) return;
  fprintf(stderr, "rank %d: %s\n", rank, tuttiGetLastError(NULL));
  exit(1);
}

static void pause_ms(long ms) {
  const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&pause, NULL);
}

static tuttiComm_t join(const char* name) {
  tuttiUniqueId id;
  tuttiComm_t comm;
  tuttiConfig_t config = TUTTI_CONFIG_INITIALIZER;
  config.commName = name;
  check(tuttiGetUniqueId(&id));
  check(tuttiCommInitRankConfig(&comm, ranks, id, rank, &config));
  return comm;
}

static void late(void) {
  enum { kCount = 1 << 16 };
  static float in[kCount], out[kCount];
  tuttiComm_t comm = join(NULL);
  check(tuttiAllReduce(in, out, kCount, tuttiFloat, tuttiSum, comm, NULL));
  for (int i = 0; i < 10; ++i) {
    if (rank == 2) pause_ms(100);
    check(tuttiAllReduce(in, out, kCount, tuttiFloat, tuttiSum, comm, NULL));
  }
  check(tuttiCommDestroy(comm));
}

static void killed(void) {
  float in = 1, out;
  tuttiComm_t comm = join(NULL);
  for (int i = 0; i < 5; ++i) check(tuttiAllReduce(&in, &out, 1, tuttiFloat, tuttiSum, comm, NULL));
  pause_ms(200); /* the writer looks every 50 ms */
  if (rank == 1) {
    pause_ms(200); /* the others sleep by then */
    raise(SIGKILL);
  }
  if (rank == 3) pause_ms(1000); /* in no call when it happens */
  const tuttiResult_t result = tuttiAllReduce(&in, &out, 1, tuttiFloat, tuttiSum, comm, NULL);
  fprintf(stderr, "rank %d: %s\n", rank, tuttiGetLastError(NULL));
  _exit(result == tuttiRemoteError ? 7 : 8); /* as a program that gives up at once */
}

static void many(void) {
  float in[4] = {1, 2, 3, 4}, out[4], more[4];
  tuttiStream_t stream;
  tuttiComm_t comm = join("odd \"name\"\n\xff/..\\"), half;
  check(tuttiStreamCreate(&stream));
  for (int i = 0; i < 3; ++i) check(tuttiAllReduce(in, out, 4, tuttiFloat, tuttiSum, comm, stream));
  check(tuttiStreamSynchronize(stream));
  check(tuttiStreamDestroy(stream));
  const int right = (rank + 1) % ranks, left = (rank + ranks - 1) % ranks;
  check(tuttiGroupStart());
  check(tuttiSend(in, 4, tuttiFloat, right, comm, NULL));
  check(tuttiRecv(out, 4, tuttiFloat, left, comm, NULL));
  check(tuttiAllReduce(in, more, 4, tuttiFloat, tuttiSum, comm, NULL));
  check(tuttiGroupEnd());
  check(tuttiCommSplit(comm, rank % 2, 0, &half, NULL));
  check(tuttiBarrier(half, NULL));
  check(tuttiCommDestroy(half));
  check(tuttiCommSplit(comm, 0, -rank, &half, NULL)); /* the ranks the other way round */
  check(tuttiBarrier(half, NULL));
  check(tuttiCommDestroy(half));
  check(tuttiCommDestroy(comm));
}

static void threads(void) {
  enum { kComms = 3 };
  tuttiComm_t comms[kComms];
  float in = 1, out[kComms];
  check(tuttiCommInitAll(comms, kComms, NULL));
  check(tuttiGroupStart());
  for (int i = 0; i < kComms; ++i) check(tuttiAllReduce(&in, &out[i], 1, tuttiFloat, tuttiSum, comms[i], NULL));
  check(tuttiGroupEnd());
  for (int i = 0; i < kComms; ++i) check(tuttiCommDestroy(comms[i]));
}

static void fork_one(void) {
  float in = 1, out;
  tuttiComm_t comm = join(NULL);
  check(tuttiAllReduce(&in, &out, 1, tuttiFloat, tuttiSum, comm, NULL));
  const pid_t child = fork();
  if (child == 0) {
    threads();
    _exit(0); /* LeakSanitizer would take the parent's threads for this one's */
  }
  int status;
  if (waitpid(child, &status, 0) != child || status != 0) exit(1);
  check(tuttiAllReduce(&in, &out, 1, tuttiFloat, tuttiSum, comm, NULL));
  check(tuttiCommDestroy(comm));
}

static void quick(void) {
  float in[2] = {1, 2}, out[2];
  tuttiComm_t comm = join(NULL);
  for (int i = 0; i < 20000; ++i) check(tuttiAllReduce(in, out, 2, tuttiFloat, tuttiSum, comm, NULL));
  check(tuttiCommDestroy(comm));
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    void (*run)(void);
  } ways[] = {{"late", late}, {"killed", killed}, {"many", many}, {"threads", threads}, {"fork", fork_one}, {"quick", quick}};
  rank = atoi(getenv("TUTTI_RANK"));
  ranks = atoi(getenv("TUTTI_NRANKS"));
  for (size_t i = 0; argc == 2 && i < sizeof ways / sizeof ways[0]; ++i)
    if (strcmp(argv[1], ways[i].name) == 0) return ways[i].run(), 0;
  return 9;
}

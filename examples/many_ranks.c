/* many_ranks: one process, one thread and many ranks. The ranks add up vectors, then each passes a number to the next in a ring.
 * This is a way to try and to debug a program with many ranks, without a launcher.
 *
 * Build: cc many_ranks.c -o many_ranks $(pkg-config --cflags --libs tutti)
 * Run:   ./many_ranks        (8 ranks)
 *        ./many_ranks 100    (another number, up to 256)
 */
#include <stdio.h>
#include <stdlib.h>
#include <tutti/tutti.h>

#include "check.h"

#define COUNT 1000
#define MOST_RANKS 256

static tuttiComm_t comms[MOST_RANKS];
static float values[MOST_RANKS][COUNT], sums[MOST_RANKS][COUNT];
static int sent[MOST_RANKS], received[MOST_RANKS];

/* Every rank's vector of sums is the same. */
static void add_up(int nranks) {
  for (int rank = 0; rank < nranks; ++rank)
    for (int i = 0; i < COUNT; ++i) values[rank][i] = (float)(rank + i);

  /* This thread makes the calls of all ranks. In a group a call does not wait for the other ranks. tuttiGroupEnd starts all calls together
   * and returns when all are done. */
  CHECK(tuttiGroupStart());
  for (int rank = 0; rank < nranks; ++rank)
    CHECK(tuttiAllReduce(values[rank], sums[rank], COUNT, tuttiFloat, tuttiSum, comms[rank], NULL));
  CHECK(tuttiGroupEnd());

  for (int rank = 0; rank < nranks; ++rank)
    for (int i = 0; i < COUNT; ++i) {
      const int expected = nranks * (nranks - 1) / 2 + nranks * i;
      if (sums[rank][i] != (float)expected) {
        fprintf(stderr, "many_ranks: rank %d: sum %d is %g, not %d\n", rank, i, (double)sums[rank][i], expected);
        exit(1);
      }
    }
}

/* Each rank sends its number to the next rank, and the last one to rank 0. */
static void pass_round(int nranks) {
  /* Sends and receives that wait for one another belong into one group, also where each rank is a process. */
  CHECK(tuttiGroupStart());
  for (int rank = 0; rank < nranks; ++rank) {
    const int next = (rank + 1) % nranks, previous = (rank + nranks - 1) % nranks;
    sent[rank] = rank;
    CHECK(tuttiSend(&sent[rank], 1, tuttiInt, next, comms[rank], NULL));
    CHECK(tuttiRecv(&received[rank], 1, tuttiInt, previous, comms[rank], NULL));
  }
  CHECK(tuttiGroupEnd());

  for (int rank = 0; rank < nranks; ++rank) {
    const int expected = (rank + nranks - 1) % nranks;
    if (received[rank] != expected) {
      fprintf(stderr, "many_ranks: rank %d received %d, not %d\n", rank, received[rank], expected);
      exit(1);
    }
  }
}

int main(int argc, char** argv) {
  char* end = "";
  const long nranks = argc > 1 ? strtol(argv[1], &end, 10) : 8;
  if (argc > 2 || *end || nranks < 1 || nranks > MOST_RANKS) {
    fprintf(stderr, "usage: many_ranks [number of ranks, 1 to %d]\n", MOST_RANKS);
    return 1;
  }

  /* One communicator handle for each rank. The list of devices is NULL: on host memory there are none. */
  CHECK(tuttiCommInitAll(comms, (int)nranks, NULL));
  add_up((int)nranks);
  pass_round((int)nranks);
  printf("ranks in this process: %ld; all sums are right, and each rank has received its neighbour's number\n", nranks);

  for (int rank = 0; rank < nranks; ++rank) CHECK(tuttiCommDestroy(comms[rank]));
  return 0;
}

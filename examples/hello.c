/* hello: the first program to read. Each rank is a process. The ranks join a communicator and add up their numbers by one AllReduce.
 *
 * Build: cc hello.c -o hello $(pkg-config --cflags --libs tutti)
 * Run:   tutti-run -n 4 ./hello
 */
#include <stdio.h>
#include <stdlib.h>
#include <tutti/tutti.h>

#include "check.h"

#define COUNT 1000

int main(void) {
  /* tutti-run tells each process which rank it is, and how many ranks there are. */
  const char* rank_text = getenv("TUTTI_RANK");
  const char* nranks_text = getenv("TUTTI_NRANKS");
  if (!rank_text || !nranks_text || !getenv("TUTTI_COMM_ID")) {
    fprintf(stderr,
            "hello: TUTTI_RANK, TUTTI_NRANKS and TUTTI_COMM_ID are not all set. Start the ranks by: tutti-run -n 4 ./hello\n");
    return 1;
  }
  const int rank = atoi(rank_text), nranks = atoi(nranks_text);

  /* All ranks need the same id. tutti-run has set TUTTI_COMM_ID, so that this call returns the same id on every rank. Without
   * TUTTI_COMM_ID, one rank makes the id and sends it to the others; mpi.c shows that. */
  tuttiUniqueId id;
  CHECK(tuttiGetUniqueId(&id));

  /* Returns when all ranks have come. */
  tuttiComm_t comm;
  CHECK(tuttiCommInitRank(&comm, nranks, id, rank));

  /* Element i of rank r is r + i. */
  float values[COUNT], sums[COUNT];
  for (int i = 0; i < COUNT; ++i) values[i] = (float)(rank + i);

  /* The stream is NULL: the sums are there when the call returns. */
  CHECK(tuttiAllReduce(values, sums, COUNT, tuttiFloat, tuttiSum, comm, NULL));

  const int sum_of_ranks = nranks * (nranks - 1) / 2;
  for (int i = 0; i < COUNT; ++i) {
    if (sums[i] != (float)(sum_of_ranks + nranks * i)) {
      fprintf(stderr, "hello: rank %d: element %d is %g, not %d\n", rank, i, (double)sums[i], sum_of_ranks + nranks * i);
      return 1;
    }
  }
  printf("rank %d of %d: the sum of all ranks' numbers is %g, and all %d sums are right\n", rank, nranks, (double)sums[0], COUNT);

  /* A rank says good-bye. Otherwise the others may take the end of its process for its death. */
  CHECK(tuttiCommDestroy(comm));
  return 0;
}

/* overlap: compute while an AllReduce runs. The AllReduce is queued on a host stream and runs in the stream's thread. Meanwhile this thread
 * computes pi, piece by piece, and asks after each piece whether the AllReduce is done.
 *
 * Build: cc overlap.c -o overlap $(pkg-config --cflags --libs tutti)
 * Run:   tutti-run -n 4 ./overlap
 */
#include <stdio.h>
#include <stdlib.h>
#include <tutti/tutti.h>

#include "check.h"
#include "start.h"

#define COUNT 1000000
#define PIECES 200
#define POINTS_PER_PIECE 50000

/* pi is the area below 4 / (1 + x*x) for x from 0 to 1. This is the part of the area that belongs to one piece. */
static double piece_of_pi(int piece) {
  const double width = 1.0 / ((double)PIECES * POINTS_PER_PIECE);
  double area = 0;
  for (int point = 0; point < POINTS_PER_PIECE; ++point) {
    const double x = ((double)piece * POINTS_PER_PIECE + point + 0.5) * width;
    area += width * 4 / (1 + x * x);
  }
  return area;
}

int main(void) {
  int rank, nranks;
  tuttiComm_t comm = start("overlap", &rank, &nranks);
  tuttiStream_t stream;
  CHECK(tuttiStreamCreate(&stream));

  /* Other ranks of this host read memory from tuttiMemAlloc in place. Memory from malloc works as well. */
  void *values_memory, *sums_memory;
  CHECK(tuttiMemAlloc(&values_memory, COUNT * sizeof(float)));
  CHECK(tuttiMemAlloc(&sums_memory, COUNT * sizeof(float)));
  float *values = values_memory, *sums = sums_memory;
  for (int i = 0; i < COUNT; ++i) values[i] = (float)(rank + i % 1000);

  /* With a stream the call is queued and returns at once. Until it is done, both buffers belong to it. */
  CHECK(tuttiAllReduce(values, sums, COUNT, tuttiFloat, tuttiSum, comm, stream));

  double pi = 0;
  int pieces_meanwhile = 0;
  for (int piece = 0; piece < PIECES; ++piece) {
    /* Does not wait. An error is not lost: tuttiStreamSynchronize returns it again. */
    if (tuttiStreamQuery(stream) == tuttiInProgress) pieces_meanwhile = piece + 1;
    pi += piece_of_pi(piece);
  }

  /* Waits until everything on the stream is done, and returns its first error. */
  CHECK(tuttiStreamSynchronize(stream));

  for (int i = 0; i < COUNT; ++i) {
    const int expected = nranks * (nranks - 1) / 2 + nranks * (i % 1000);
    if (sums[i] != (float)expected) {
      fprintf(stderr, "overlap: rank %d: sum %d is %g, not %d\n", rank, i, (double)sums[i], expected);
      return 1;
    }
  }
  if (pi < 3.14159265 || pi > 3.14159266) {
    fprintf(stderr, "overlap: rank %d: pi is %.9f\n", rank, pi);
    return 1;
  }
  printf("rank %d: all sums are right; %d of %d pieces of pi = %.8f were begun before the AllReduce was done\n", rank,
         pieces_meanwhile, PIECES, pi);

  CHECK(tuttiStreamDestroy(stream));
  CHECK(tuttiMemFree(values_memory));
  CHECK(tuttiMemFree(sums_memory));
  CHECK(tuttiCommDestroy(comm));
  return 0;
}

/* smoke: a program as a user writes it, in C99, against the installed library only: two ranks in this process, one
 * AllReduce in a group, every value checked. Exit status 0: all is as it should be. */
#include <stdio.h>
#include <tutti/tutti.h>

#define RANKS 2
#define COUNT 1000

static int failed(const char* call) {
  fprintf(stderr, "%s: %s\n", call, tuttiGetLastError(NULL));
  return 1;
}

int main(void) {
  static float values[RANKS][COUNT], sums[RANKS][COUNT];
  tuttiComm_t comms[RANKS];
  int version = 0;
  if (tuttiGetVersion(&version) != tuttiSuccess) return failed("tuttiGetVersion");
  if (version != TUTTI_VERSION_CODE) {
    fprintf(stderr, "the header is version %d, the library %d\n", TUTTI_VERSION_CODE, version);
    return 1;
  }
  if (tuttiCommInitAll(comms, RANKS, NULL) != tuttiSuccess) return failed("tuttiCommInitAll");
  for (int rank = 0; rank < RANKS; ++rank)
    for (int i = 0; i < COUNT; ++i) {
      values[rank][i] = (float)(i * (rank + 1));
      sums[rank][i] = -1;
    }
  if (tuttiGroupStart() != tuttiSuccess) return failed("tuttiGroupStart");
  for (int rank = 0; rank < RANKS; ++rank)
    if (tuttiAllReduce(values[rank], sums[rank], COUNT, tuttiFloat, tuttiSum, comms[rank], NULL) != tuttiSuccess)
      return failed("tuttiAllReduce");
  if (tuttiGroupEnd() != tuttiSuccess) return failed("tuttiGroupEnd");
  for (int rank = 0; rank < RANKS; ++rank)
    for (int i = 0; i < COUNT; ++i)
      if (sums[rank][i] != (float)(3 * i)) {
        fprintf(stderr, "rank %d, element %d: %g, expected %d\n", rank, i, (double)sums[rank][i], 3 * i);
        return 1;
      }
  for (int rank = 0; rank < RANKS; ++rank)
    if (tuttiCommDestroy(comms[rank]) != tuttiSuccess) return failed("tuttiCommDestroy");
  printf("tutti %d: %d ranks agree\n", version, RANKS);
  return 0;
}

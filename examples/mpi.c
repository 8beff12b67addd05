/* mpi: Tutti inside an MPI program. MPI says which rank this is and carries the unique id to the other ranks. Then both libraries make
 * the same AllReduce and the same AllGather, and the results are compared.
 *
 * Build: mpicc mpi.c -o mpi $(pkg-config --cflags --libs tutti)
 * Run:   mpirun -n 4 ./mpi   (Open MPI: add --oversubscribe for more ranks than cores, --allow-run-as-root for root)
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tutti/tutti.h>

#include "check.h"

#define COUNT 1000

static void* allocate(size_t bytes) {
  void* memory = malloc(bytes);
  if (!memory) {
    fprintf(stderr, "mpi: no memory for %zu bytes\n", bytes);
    exit(1);
  }
  return memory;
}

static void compare(const char* call, int rank, const int* ours, const int* theirs, int count) {
  for (int i = 0; i < count; ++i) {
    if (ours[i] != theirs[i]) {
      fprintf(stderr, "mpi: rank %d: element %d of the %s is %d, but %d by MPI\n", rank, i, call, ours[i], theirs[i]);
      exit(1);
    }
  }
}

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank, nranks;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &nranks);

  /* One rank makes the id. The others get its bytes by MPI, and every rank joins with the same id. */
  tuttiUniqueId id;
  memset(&id, 0, sizeof id);
  if (rank == 0) CHECK(tuttiGetUniqueId(&id));
  MPI_Bcast(&id, sizeof id, MPI_BYTE, 0, MPI_COMM_WORLD);
  tuttiComm_t comm;
  CHECK(tuttiCommInitRank(&comm, nranks, id, rank));

  int values[COUNT], our_sums[COUNT], their_sums[COUNT];
  for (int i = 0; i < COUNT; ++i) {
    values[i] = 1000 * rank + i;
    our_sums[i] = their_sums[i] = -1;
  }
  CHECK(tuttiAllReduce(values, our_sums, COUNT, tuttiInt, tuttiSum, comm, NULL));
  MPI_Allreduce(values, their_sums, COUNT, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  compare("AllReduce", rank, our_sums, their_sums, COUNT);

  /* The count is that of one rank's block, as in MPI. */
  const size_t bytes = (size_t)nranks * COUNT * sizeof(int);
  int *our_blocks = allocate(bytes), *their_blocks = allocate(bytes);
  memset(our_blocks, 0xff, bytes);
  memset(their_blocks, 0xff, bytes);
  CHECK(tuttiAllGather(values, our_blocks, COUNT, tuttiInt, comm, NULL));
  MPI_Allgather(values, COUNT, MPI_INT, their_blocks, COUNT, MPI_INT, MPI_COMM_WORLD);
  compare("AllGather", rank, our_blocks, their_blocks, nranks * COUNT);

  printf("rank %d of %d: AllReduce and AllGather by Tutti and by MPI agree\n", rank, nranks);
  free(our_blocks);
  free(their_blocks);
  CHECK(tuttiCommDestroy(comm));
  MPI_Finalize();
  return 0;
}

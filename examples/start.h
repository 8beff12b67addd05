/* start: what hello.c explains step by step, for the other examples: makes the communicator of the ranks that tutti-run has started.
 *
 * Build: the examples include this file from their own folder.
 */
#ifndef EXAMPLES_START_H
#define EXAMPLES_START_H

#include "check.h"

/* Returns the communicator of all ranks; *rank is this rank, *nranks how many there are. Ends the program if no launcher has started it. */
static inline tuttiComm_t start(const char* program, int* rank, int* nranks) {
  const char* rank_text = getenv("TUTTI_RANK");
  const char* nranks_text = getenv("TUTTI_NRANKS");
  if (!rank_text || !nranks_text || !getenv("TUTTI_COMM_ID")) {
    fprintf(stderr, "%s: TUTTI_RANK, TUTTI_NRANKS and TUTTI_COMM_ID are not all set. Start the ranks by: tutti-run -n 4 ./%s\n", program,
            program);
    exit(1);
  }
  *rank = atoi(rank_text);
  *nranks = atoi(nranks_text);

  tuttiUniqueId id;
  CHECK(tuttiGetUniqueId(&id));
  tuttiComm_t comm;
  CHECK(tuttiCommInitRank(&comm, *nranks, id, *rank));
  return comm;
}

#endif

/* check: how the examples end when a call fails. CHECK(call) prints the file, the line and Tutti's sentence about the error, and exits with 1.
 * The other ranks then learn at once that this rank has died.
 *
 * Build: every example includes this file from its own folder.
 */
#ifndef EXAMPLES_CHECK_H
#define EXAMPLES_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <tutti/tutti.h>

#define CHECK(call)                                                                \
  do {                                                                             \
    if ((call) != tuttiSuccess) {                                                  \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, tuttiGetLastError(NULL)); \
      exit(1);                                                                     \
    }                                                                              \
  } while (0)

#endif

/* grid: the ranks form a grid. Each rank is a member of two more communicators, one for its row and one for its column, and adds up
 * vectors in both.
 *
 *   6 ranks:   0 1 2     row 0
 *              3 4 5     row 1
 *
 * Build: cc grid.c -o grid $(pkg-config --cflags --libs tutti)
 * Run:   tutti-run -n 6 ./grid
 */
#include <stdio.h>
#include <stdlib.h>
#include <tutti/tutti.h>

#include "check.h"
#include "start.h"

#define COUNT 100

/* As many rows as possible, but not more rows than columns. A prime number of ranks makes one row. */
static int rows_for(int nranks) {
  int rows = 1;
  for (int candidate = 2; candidate * candidate <= nranks; ++candidate)
    if (nranks % candidate == 0) rows = candidate;
  return rows;
}

/* Adds up the ranks' numbers in `line`, a row or a column. Its ranks are first, first + step, first + 2 * step, and so on. */
static int sum_of(tuttiComm_t line, const char* name, int rank, int first, int step) {
  int size = 0;
  CHECK(tuttiCommCount(line, &size));
  int expected = 0;
  for (int member = 0; member < size; ++member) expected += first + member * step;

  int values[COUNT], sums[COUNT];
  for (int i = 0; i < COUNT; ++i) values[i] = rank + i;
  CHECK(tuttiAllReduce(values, sums, COUNT, tuttiInt, tuttiSum, line, NULL));
  for (int i = 0; i < COUNT; ++i) {
    if (sums[i] != expected + size * i) {
      fprintf(stderr, "grid: rank %d: sum %d of its %s is %d, not %d\n", rank, i, name, sums[i], expected + size * i);
      exit(1);
    }
  }
  return sums[0];
}

int main(void) {
  int rank, nranks;
  tuttiComm_t comm = start("grid", &rank, &nranks);
  const int rows = rows_for(nranks), columns = nranks / rows;
  const int row = rank / columns, column = rank % columns;

  /* Ranks that give the same color form a communicator. The key orders them in it. All ranks make both calls. */
  tuttiComm_t row_comm, column_comm;
  CHECK(tuttiCommSplit(comm, row, column, &row_comm, NULL));
  CHECK(tuttiCommSplit(comm, column, row, &column_comm, NULL));

  /* A rank has another number in each communicator. */
  int rank_in_row = -1, rank_in_column = -1;
  CHECK(tuttiCommUserRank(row_comm, &rank_in_row));
  CHECK(tuttiCommUserRank(column_comm, &rank_in_column));
  if (rank_in_row != column || rank_in_column != row) {
    fprintf(stderr, "grid: rank %d is rank %d of its row and rank %d of its column\n", rank, rank_in_row, rank_in_column);
    return 1;
  }

  const int row_sum = sum_of(row_comm, "row", rank, row * columns, 1);
  const int column_sum = sum_of(column_comm, "column", rank, column, columns);
  printf("rank %d is in row %d of %d and column %d of %d: the row's numbers add up to %d, the column's to %d\n", rank, row, rows, column,
         columns, row_sum, column_sum);

  CHECK(tuttiCommDestroy(row_comm));
  CHECK(tuttiCommDestroy(column_comm));
  CHECK(tuttiCommDestroy(comm));
  return 0;
}

#!/bin/sh
# The programs that make figures: each runs, in seconds, and says what it is there to say. No figure decides.
# Arguments: the root of the source tree, the build folder.
set -u
perf=$1/perf build=$2
. "${0%/*}/expect.sh"

# With that much slack nothing is violated, with that little everything.
tiny="--build $build -p 2 -b 8 -e 512 -f 8 -n 1 --rounds 1"
expect 0 '^# 0 of [1-9][0-9]* cases violated' "$perf/consistency.py" $tiny --slack 1e9
expect 1 'all_reduce <= reduce+broadcast' "$perf/consistency.py" $tiny --slack=-99 all_reduce
expect 2 'no collective: all_redoose' "$perf/consistency.py" all_redoose
expect 2 'invalid ranks_of value' "$perf/consistency.py" -p 1

# What waiting and starting cost. Every row of both tables is there, filled in.
for program in idle startup; do
  expect 2 'not expected: --bogus' "$build/perf/$program" --bogus
  expect 0 'Options' "$build/perf/$program" --help
done
expect 2 'not in range' "$build/perf/idle" -p 1
expect 0 '^  *2  *[0-9.]*  *[0-9.]*  *[0-9.-]*  *[0-9.]*$' "$build/perf/idle" -p 3 -n 2 -l 1,2
expect 0 '^  *3  *[0-9.]*  *[0-9.]*  *[0-9.]*  *[0-9.]*$' "$build/perf/startup" -p 1,3 -n 2 -e 64K
expect 0 '^  *3 *page tables  *[0-9]*\(  *[+-][0-9]*\)\{6\}$' "$build/perf/startup" -p 1,3 -n 2 -e 64K
expect 1 'tuttiGetUniqueId: TUTTI_TILE' env TUTTI_TILE=nonsense "$build/perf/startup" -p 2 -n 1

conclude

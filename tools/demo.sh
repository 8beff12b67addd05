#!/bin/sh
# Sets up, builds, and runs the main job: AllReduce between real processes, every result checked, on 2 and on 4 ranks.
set -eu
cd "$(dirname "$0")/.."
tools/setup.sh
ninja -C build
for ranks in 2 4; do
  echo
  build/perf/all_reduce_perf -p "$ranks" -b 8 -e 64M -f 2
done

#!/bin/bash
# Builds the fuzz targets in build-fuzz and runs libFuzzer on each, starting from the inputs in corpus/.
# Usage: tests/fuzz/run.sh [--all SECONDS | --each SECONDS] [TARGET...]
#
# --all (default 60) is the time of all targets together, --each the time of every one. libFuzzer stores an input that makes a target fail in
# build-fuzz/found/TARGET-*. Fix the cause, and store the input in tests/fuzz/corpus/TARGET under a name that describes it.
# Exits with 77 without clang.
set -euo pipefail
cd "$(dirname "$0")/../.."

all=60 each=
case ${1:-} in
  --all) all=$2; shift 2 ;;
  --each) each=$2; shift 2 ;;
esac
command -v clang++ >/dev/null || { echo "tests/fuzz/run.sh: skipped, there is no clang++" >&2; exit 77; }
[ -f build-fuzz/build.ninja ] || CC=clang CXX=clang++ meson setup build-fuzz -Dfuzz=enabled -Dbuildtype=plain -Doptimization=1 \
  -Dtests=disabled -Dtools=disabled -Dpeers=disabled -Ducx=disabled
ninja -C build-fuzz

targets=("$@")
[ $# -gt 0 ] || for program in build-fuzz/tests/fuzz/fuzz_*; do
  [ -d "$program" ] || targets+=("${program##*/fuzz_}")
done
: "${each:=$(((all + ${#targets[@]} - 1) / ${#targets[@]}))}"
mkdir -p build-fuzz/found
# ASan keeps less freed memory aside than usual, so that a target fits its limit of memory.
export ASAN_OPTIONS=quarantine_size_mb=16 UBSAN_OPTIONS=print_stacktrace=1
failed=()
for target in "${targets[@]}"; do
  mkdir -p "build-fuzz/inputs/$target"
  log="build-fuzz/found/$target.log"
  echo "== $target: $each s"
  # The largest topology files take 0.6 s and 87 MiB. With these sanitizers it is 16 times the time and twice the memory.
  if "build-fuzz/tests/fuzz/fuzz_$target" -max_total_time="$each" -timeout=25 -rss_limit_mb=384 -max_len=8192 -reload=0 \
      -print_final_stats=1 -artifact_prefix="build-fuzz/found/$target-" \
      "build-fuzz/inputs/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1; then
    grep -E 'DONE|number_of_executed_units' "$log"
  else
    tail -n 40 "$log"
    failed+=("$target")
  fi
done
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
echo "${#targets[@]} targets, nothing found"

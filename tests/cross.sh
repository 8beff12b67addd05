#!/bin/bash
# Other processors, on an x86-64 machine: builds the fast tests and a benchmark for ARM64 and runs them under qemu; runs this machine's build as a
# processor with AVX2 at most, and as one without; and reduces among all of them in one communicator.
#
# This shows that the code for those processors is right, not that it orders its memory accesses well enough: what qemu runs on
# x86-64 is ordered more strictly than on an ARM64 processor. Arguments go to `meson setup` of the ARM64 build.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(uname -m)" = x86_64 ] || { echo "tests/cross.sh: for x86-64 machines only" >&2; exit 1; }
tools/packages.sh g++-aarch64-linux-gnu qemu-user-static
tools/setup.sh --with-tests
ninja -C build

tools/cross/root.sh build-cross
[ -f build-arm64/build.ninja ] || meson setup build-arm64 -Dtests=enabled -Dtools=enabled \
  --cross-file tools/cross/aarch64-linux-gnu.ini --cross-file build-cross/root.ini "$@"
ninja -C build-arm64 perf/all_reduce_perf
SWEEP_RANKS=8 WORLDS=300 meson test -C build-arm64 --print-errorlogs --suite unit --suite model

# The fastest kernels that a processor has are chosen, and need nothing that it has not.
for processor in max:avx2 qemu64:baseline; do
  as="qemu-x86_64-static -cpu ${processor%:*}"
  kernels=$($as build/tools/tutti-info | sed -n 1p)
  echo "as ${processor%:*}: $kernels"
  [ "${kernels##* }" = "${processor#*:}" ]
  $as build/tests/dtype/dtype_test '~fp32 rounds*'  # those take long, and have passed on each set of kernels
done

# One communicator of all four: this machine's processor, ARM64, AVX2 at most, neither.
# shellcheck disable=SC2016  # expanded in each rank
build/tools/tutti-run -n 4 bash -c '
  case $TUTTI_RANK in
    0) exec build/perf/all_reduce_perf "$@" ;;
    1) exec qemu-aarch64-static -L build-cross/root build-arm64/perf/all_reduce_perf "$@" ;;
    2) exec qemu-x86_64-static -cpu max build/perf/all_reduce_perf "$@" ;;
    3) exec qemu-x86_64-static -cpu qemu64 build/perf/all_reduce_perf "$@" ;;
  esac' rank -b 8 -e 128K -f 128 -d all -o all -n 2

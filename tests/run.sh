#!/bin/sh
# Sets up, builds, and passes all tests. Arguments go to `meson test` (say: --suite unit).
set -eu
cd "$(dirname "$0")/.."
tools/setup.sh --with-tests
ninja -C build
meson test -C build --print-errorlogs "$@"
# What the suites counted.
grep -hE '^(model|conformance|differential): ' build/meson-logs/testlog.txt || true

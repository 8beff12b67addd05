#!/bin/sh
# Installs the packages of Debian 12 or 13 that Tutti is built from, unless they are there, and configures ./build.
# Usage: tools/setup.sh [--with-tests] [meson setup options...]
set -eu
cd "$(dirname "$0")/.."

packages="build-essential meson ninja-build pkg-config libsodium-dev libhwloc-dev libucx-dev nlohmann-json3-dev libcli11-dev"
if [ "${1:-}" = "--with-tests" ]; then
  shift
  packages="$packages catch2 cmake iproute2 openmpi-bin mpich"
  set -- -Dtests=enabled "$@"
fi

# shellcheck disable=SC2086  # a list of words
tools/packages.sh $packages

if [ -f build/build.ninja ]; then
  meson configure build "$@"
else
  meson setup build -Dtools=enabled "$@"
fi

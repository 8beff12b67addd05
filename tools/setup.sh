#!/bin/sh
# Installs the Debian 12 packages that Tutti is built from, unless they are there, and configures ./build.
# Usage: tools/setup.sh [--with-tests] [meson setup options...]
set -eu
cd "$(dirname "$0")/.."

packages="build-essential meson ninja-build pkg-config libsodium-dev libhwloc-dev nlohmann-json3-dev libcli11-dev"
if [ "${1:-}" = "--with-tests" ]; then
  shift
  packages="$packages catch2 cmake"
  set -- -Dtests=enabled "$@"
fi

missing=""
for package in $packages; do
  dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing="$missing $package"
done
if [ -n "$missing" ]; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "tools/setup.sh: these packages are missing:$missing" >&2
    echo "  run this script as root once, or install them by: apt-get install --no-install-recommends$missing" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  # shellcheck disable=SC2086 -- a list of words
  apt-get install -q -y --no-install-recommends $missing
fi

if [ -f build/build.ninja ]; then
  meson configure build "$@"
else
  meson setup build -Dtools=enabled "$@"
fi

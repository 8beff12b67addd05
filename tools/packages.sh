#!/bin/sh
# Installs the Debian packages named, unless they are there; says what is missing where that needs another user.
# Usage: tools/packages.sh PACKAGE...
set -eu

missing=""
for package in "$@"; do
  dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "$0: these packages are missing:$missing" >&2
  echo "  run this as root once, or install them by: apt-get install --no-install-recommends$missing" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086  # a list of words
apt-get install -q -y --no-install-recommends $missing

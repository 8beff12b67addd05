#!/bin/bash
# distros: the README's two commands on a bare Debian 12 and a bare Debian 13, each in a folder of its own. Run by hand, as root: each takes
# half an hour on two cores.
#
#   tests/distros.sh [SUITE...]          default: bookworm trixie
#   COMMANDS=tools/demo.sh tests/distros.sh trixie
#
# The packages come from where this machine's come from. Folders: build-distros/SUITE, made by debootstrap; they stay, for a look at what
# failed. What is tested is the last commit.
set -euo pipefail
cd "$(dirname "$0")/.."

[ "$(id -u)" -eq 0 ] || { echo "$0: must be run as root: it makes root folders and changes into them" >&2; exit 2; }
[ "${IN_NAMESPACE:-}" = yes ] || IN_NAMESPACE=yes exec unshare --mount --propagation private "$PWD/tests/distros.sh" "$@"
command -v debootstrap > /dev/null || tools/packages.sh debootstrap
commands=${COMMANDS:-tools/demo.sh tests/run.sh}
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)
[ -n "$mirror" ] || { echo "$0: apt knows no source of packages" >&2; exit 2; }

# What programs expect of a running system. The mounts are in a namespace of this script's own, and end with it.
enter() {  # FOLDER
  mountpoint -q "$1/proc" && return
  mount -t proc none "$1/proc"
  mount -t sysfs none "$1/sys"
  mount --rbind /dev "$1/dev"
}

failed=""
[ $# -gt 0 ] || set -- bookworm trixie
for suite in "$@"; do
  root="$PWD/build-distros/$suite"
  if [ ! -e "$root/complete" ]; then
    rm -rf "$root"
    mkdir -p "$root"
    debootstrap --no-check-gpg --variant=minbase "$suite" "$root" "$mirror" /usr/share/debootstrap/scripts/sid
    echo "deb [trusted=yes] $mirror $suite main" > "$root/etc/apt/sources.list"
    cp /etc/apt/apt.conf.d/* "$root/etc/apt/apt.conf.d/"
    touch "$root/complete"
  fi
  cp -L /etc/resolv.conf "$root/etc/resolv.conf"
  rm -rf "$root/tutti"
  mkdir "$root/tutti"
  git archive HEAD | tar -x -C "$root/tutti"
  enter "$root"
  for command in $commands; do
    echo "=== $suite: $command"
    if chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb /bin/bash -c "cd /tutti && $command"; then
      echo "=== $suite: $command: passed"
    else
      failed="$failed $suite:$command"
      echo "=== $suite: $command: FAILED"
    fi
  done
done
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }

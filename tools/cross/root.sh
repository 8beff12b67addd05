#!/bin/sh
# Unpacks the ARM64 libraries that Tutti is built with into FOLDER/root, and writes FOLDER/root.ini, which tells Meson so.
# They come from this machine's Debian sources by way of an index of their own under FOLDER: nothing is installed, no foreign
# architecture is added, and no rights are needed.
# Usage: tools/cross/root.sh FOLDER
set -eu
mkdir -p "$1/apt/lists/partial" "$1/apt/archives/partial"
cd "$1"
[ ! -f root.ini ] || exit 0

apt() {
  apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User="$(id -un)" \
    -o Dir::State::Lists="$PWD/apt/lists" -o Dir::State::Status=/dev/null -o Dir::Cache="$PWD/apt" "$@"
}
apt update
# What is linked, what that needs to run, and headers.
apt download libc6 libgcc-s1 libstdc++6 libsodium23 libsodium-dev libhwloc15 libudev1 libcap2 libhwloc-dev nlohmann-json3-dev libcli11-dev
# Catch2 3 is the package libcatch2-dev. Debian 12 has Catch2 2, in the package catch2.
apt download libcatch2-dev 2>/dev/null || apt download catch2
for package in *.deb; do dpkg-deb -x "$package" root; done
[ -e root/lib ] || ln -s usr/lib root/lib  # since Debian 13 packages have files in /usr only
rm -r ./*.deb apt
printf "[constants]\nroot = '%s/root'\n" "$PWD" > root.ini

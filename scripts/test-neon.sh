#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the core library for 64-bit ARM in build/neon and runs its tests with NEON in qemu's user mode.
#
# usage: scripts/test-neon.sh [ctest argument...]
#
# The compiler and qemu are Debian packages (scripts/setup.sh --developer). The ARM libraries are downloaded
# by apt-get with folders of its own and unpacked below build/neon: nothing of the system changes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=build/neon
sysroot=$PWD/$build/sysroot
packages=(libhwy-dev libhwy1 libonnx-dev libonnx1 libonnxifi libprotobuf-dev libprotobuf32 zlib1g libgtest-dev
  libgmock-dev nlohmann-json3-dev)
layers='base|tensor|kernels|octave|graph|engine'

for program in aarch64-linux-gnu-g++ qemu-aarch64-static; do
  if ! command -v "$program" >/dev/null; then
    echo "test-neon: no $program; run scripts/setup.sh --developer" >&2
    exit 1
  fi
done

if [[ ! -f $sysroot/packages.txt || $(<"$sysroot/packages.txt") != "${packages[*]}" ]]; then
  rm -rf "$sysroot"
  apt=$PWD/$build/apt
  mkdir -p "$sysroot" "$apt/state/lists/partial" "$apt/cache/archives/partial" "$apt/packages"
  : >"$apt/status"
  apt_get=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State=$apt/state"
    -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=
    -o Acquire::Retries=3)
  "${apt_get[@]}" update
  (cd "$apt/packages" && "${apt_get[@]}" download "${packages[@]}")
  for package in "$apt"/packages/*.deb; do
    dpkg-deb -x "$package" "$sysroot"
  done
  echo "${packages[*]}" >"$sysroot/packages.txt"
fi

cmake --preset neon
cmake --build --preset neon
ctest --test-dir "$build" --output-on-failure --no-tests=error --timeout 3000 -L "^($layers)\$" "$@"

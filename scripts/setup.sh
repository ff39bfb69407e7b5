#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that octconv is built, tested and demonstrated with.
#
# usage: scripts/setup.sh [--developer | --bench]
#   --developer   also what scripts/format.sh and scripts/check-all.sh use
#   --bench       also what the benchmarks measure beside octconv
set -euo pipefail

packages=(
  build-essential cmake ninja-build ccache pkg-config git ca-certificates
  python3 python3-venv                                   # repository tests, measured peers
  doxygen                                                # the reference of the public headers
  libhwy-dev libonnx-dev libprotobuf-dev protobuf-compiler
  libtorch-dev libgloo-dev libopenblas0-pthread          # octconv::torch
  libopencv-dev libjpeg62-turbo-dev zlib1g-dev           # octconv::image
  libcli11-dev nlohmann-json3-dev                        # the command
  libgtest-dev libgmock-dev libbenchmark-dev dataset-fashion-mnist
  python-matplotlib-data                                 # a photograph, for the tests
  python3-torchvision python3-numpy                      # networks that PyTorch exports, for the tests
)
case "${1:-}" in
  "") ;;
  --developer) packages+=(clang clang-format-14 clang-tidy-14 clang-tools-14 libomp-14-dev libclang-rt-14-dev
    g++-aarch64-linux-gnu libc6-dev-arm64-cross libstdc++-12-dev-arm64-cross qemu-user-static) ;;
  --bench) packages+=(libdnnl-dev python3-torch libjemalloc2) ;;
  *)
    echo "usage: scripts/setup.sh [--developer | --bench]" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null; then
  echo "setup: this system has no dpkg; install what these Debian 12 packages hold: ${packages[*]}" >&2
  exit 1
fi
missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  exit 0
fi

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "setup: run as root: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
  # Without a terminal nobody can type a password: fail instead of waiting.
  [[ -t 0 ]] || as_root+=(-n)
fi
apt_get() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq \
    -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}
echo "setup: installing ${#missing[@]} Debian packages and what they need: ${missing[*]}"
apt_get update
apt_get install -y --no-install-recommends "${missing[@]}" </dev/null >/dev/null
echo "setup: done in ${SECONDS} s"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The long checks: everything that a change to octconv must pass, also what .ci/run leaves out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh --developer
export CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-$(nproc)}

failed=()
step() {
  local name=$1 start=$SECONDS
  shift
  echo "check-all: $name: $*"
  if "$@"; then
    echo "check-all: $name passed in $((SECONDS - start)) s"
  else
    failed+=("$name")
    echo "check-all: $name FAILED" >&2
  fi
}
shared_build() {
  cmake --preset dev -B build/shared -DBUILD_SHARED_LIBS=ON &&
    cmake --build build/shared &&
    ctest --test-dir build/shared --output-on-failure --no-tests=error
}

step format scripts/format.sh --check
step docs scripts/docs.sh
export OCTCONV_TEST_EVERYTHING=1  # the deepest networks in full too
step dev cmake --workflow --preset dev
step tidy scripts/tidy.sh
step asan cmake --workflow --preset asan-all-targets
step fuzz scripts/fuzz.sh 300
step release-no-torch cmake --workflow --preset release-no-torch
step shared shared_build
step neon scripts/test-neon.sh
step tsan scripts/tsan.sh

minutes=$((SECONDS / 60))
if ((${#failed[@]} > 0)); then
  echo "check-all: failed after $minutes min: ${failed[*]}" >&2
  exit 1
fi
echo "check-all: all passed in $minutes min"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs clang-tidy 14 over the sources that a build tree compiles.
#
# usage: scripts/tidy.sh [build folder] [pattern]
#   build folder   holds compile_commands.json; default build/dev
#   pattern        only sources whose path matches; default all of src, tools, tests and examples
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=${1:-build/dev}
pattern=${2:-"^$PWD/(src|tools|tests|examples)/"}
if [[ ! -f $build/compile_commands.json ]]; then
  echo "tidy: $build has no compile_commands.json; run cmake --preset dev first" >&2
  exit 1
fi
# Warning options that only GCC knows are not clang's concern.
run-clang-tidy-14 -quiet -p "$build" -j "$(nproc)" -extra-arg=-Wno-unknown-warning-option "$pattern"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds with ThreadSanitizer in build/tsan and runs the tests of the parallel loop and of sessions.
#
# clang with LLVM's OpenMP: the sanitizer does not see how GCC's OpenMP waits for its threads, and
# reports races that are none. Archer tells it what LLVM's does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

archer=$(clang++-14 -print-resource-dir)/../../libarcher.so
if [[ ! -f $archer ]]; then
  echo "tsan: no libarcher.so; run scripts/setup.sh --developer" >&2
  exit 1
fi
cmake --preset tsan
cmake --build --preset tsan
export OMP_TOOL_LIBRARIES=$archer
export TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=1"
build/tsan/tests/octconv_base_test --gtest_filter='*Parallel*:ThreadCount.*'
build/tsan/tests/octconv_engine_test --gtest_filter='Session.*'
build/tsan/tests/octconv_octave_test --gtest_filter='*HasTheSameBits*'

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes every reader of files under AddressSanitizer and UndefinedBehaviorSanitizer.
#
# usage: scripts/fuzz.sh [seconds each] [seed]
#   seconds each   default 12
#   seed           default 1; the same seed begins with the same inputs
#
# An input that crashes a reader is left in build/fuzz as crash-fuzz_<reader>; run
# build/asan/fuzz_<reader> on it. Make it a test, then mend the reader.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-12}
seed=${2:-1}

readers=(onnx metadata npy safetensors pth idx image study)
cmake --preset asan
cmake --build build/asan --target fuzz_seeds "${readers[@]/#/fuzz_}"
mkdir -p build/fuzz
cd build/fuzz
rm -rf seeds
../asan/fuzz_seeds seeds
# A few bytes may claim any size; decoding a picture of a billion pixels is slow, and no finding.
export OPENCV_IO_MAX_IMAGE_PIXELS=4194304
failed=()
for reader in "${readers[@]}"; do
  # The decoders write to the standard error stream on their own.
  if ! ../asan/fuzz_$reader --seconds "$seconds" --seed "$seed" seeds/$reader 2>fuzz_$reader.log; then
    failed+=("$reader")
    tail -n 60 fuzz_$reader.log >&2
  fi
done
if ((${#failed[@]} > 0)); then
  echo "fuzz: readers with findings: ${failed[*]}" >&2
  exit 1
fi
echo "fuzz: no findings"

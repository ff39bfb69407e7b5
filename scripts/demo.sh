#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the command, trains a network and its octave twin on Fashion-MNIST, and compares them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

report=demo-report
training=(--data fashion-mnist --model resnet20 --alpha "0,0.25" --epochs 2 --train-images 36000)

echo "demo: installs what is missing, builds (about 5 min on 2 cores), trains and measures (about 6 min)"
scripts/setup.sh
cmake --preset release
cmake --build --preset release --target octconv_tool
echo "demo: built in ${SECONDS} s; now training: octconv compare ${training[*]}"
build/release/octconv compare "${training[@]}" --out "$report"
echo "demo: done in $((SECONDS / 60)) min $((SECONDS % 60)) s; the report is $PWD/$report/report.html"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the command, trains a network and its octave twin on Fashion-MNIST, compares them, and times a wide
# network beside its twin.
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

# Times do not depend on what the weights are.
wide=$(mktemp -d)
trap 'rm -rf "$wide"' EXIT
for alpha in 0 0.5; do
  build/release/octconv export resnet50v2 --alpha "$alpha" -o "$wide/resnet50v2-alpha$alpha.onnx"
done
echo "demo: a network of the usual width, ResNet-50 for 224 x 224, and its twin at alpha 0.5"
build/release/octconv bench "$wide"/resnet50v2-alpha{0,0.5}.onnx
echo "demo: done in $((SECONDS / 60)) min $((SECONDS % 60)) s; the report is $PWD/$report/report.html"

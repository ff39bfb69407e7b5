#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes .venv/bench, a Python environment with the engines that octconv's speed is measured beside
# (bench/peers/compare.py). LibTorch is Debian's python3-torch, not installed here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1)
# Their other needs (a trainer, a camera) are not ours.
alone=(ncnn==1.0.20261020 pnnx==20261020)
environment=.venv/bench
made_for="$environment/octconv-packages.txt"

wanted=$(printf '%s\n' "${packages[@]}" "${alone[@]}")
if [[ -f $made_for && $(<"$made_for") == "$wanted" ]]; then
  exit 0
fi
# What is half made would look like an environment.
trap 'rm -rf "$environment"' EXIT
echo "bench-peers: installing ${packages[*]} ${alone[*]} into $environment"
python3 -m venv --clear "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
"$environment/bin/pip" install --quiet --disable-pip-version-check --no-deps "${alone[@]}"
echo "$wanted" >"$made_for"
trap - EXIT

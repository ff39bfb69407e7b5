#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes .venv/bench, a Python environment with the engines that octconv's speed is measured beside
# (bench/peers/compare.py). LibTorch is Debian's python3-torch, not installed here.
#
#   scripts/bench-peers.sh --torch   also .venv/torch, with PyTorch of PyPI (bench/peers/training.py): 4.4 GB
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ $# -gt 1 || ${1:---torch} != --torch ]]; then
  echo "usage: scripts/bench-peers.sh [--torch]" >&2
  exit 2
fi

# install ENVIRONMENT PACKAGE... --no-deps PACKAGE...
install() {
  environment=$1
  shift
  local made_for="$environment/octconv-packages.txt" wanted packages=()
  wanted=$(printf '%s\n' "$@")
  if [[ -f $made_for && $(<"$made_for") == "$wanted" ]]; then
    return
  fi
  # What is half made would look like an environment.
  trap 'rm -rf "$environment"' EXIT
  echo "bench-peers: installing $* into $environment"
  while [[ $1 != --no-deps ]]; do
    packages+=("$1")
    shift
  done
  python3 -m venv --clear "$environment"
  "$environment/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
  "$environment/bin/pip" install --quiet --disable-pip-version-check "$@"
  echo "$wanted" >"$made_for"
  trap - EXIT
}

# What ncnn and pnnx need beside (a trainer, a camera) is not ours.
install .venv/bench numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 \
  --no-deps ncnn==1.0.20261020 pnnx==20261020

# PyTorch of PyPI does not load without the libraries of GPUs, on which nothing is run here; it does without a compiler
# for them.
if [[ $# -eq 1 ]]; then
  install .venv/torch numpy==2.4.6 filelock fsspec jinja2 networkx sympy typing_extensions \
    'cuda-toolkit[cublas,cudart,cufft,cufile,cupti,cusolver,cusparse,nvjitlink,nvrtc,nvtx]==13.2.2' \
    nvidia-cudnn-cu13==9.26.0.51 nvidia-cusparselt-cu13==0.8.1 nvidia-nccl-cu13==2.30.7 nvidia-nvshmem-cu13==3.7.2 \
    --no-deps torch==2.15.0
fi

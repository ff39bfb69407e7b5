#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a trained network loses when it is made octave, and how it comes back: resnet20 on Fashion-MNIST.
#
# usage: scripts/finetune-study.sh [FOLDER]
#   FOLDER          where models go (default finetune-study); what is there already is kept
#   OCTCONV=FILE    the command (default build/release/octconv)
#   TUNE_IMAGES=N   fine-tune on so many of the images only (default 0: all 60,000)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=${1:-finetune-study}
octconv=${OCTCONV:-build/release/octconv}
data=fashion-mnist
alpha=0.25
samples=1000
mkdir -p "$folder"

# train NAME OPTION...: the model is FOLDER/NAME/model.onnx
train() {
  local name=$1
  shift
  [[ -f $folder/$name/model.onnx ]] && return
  echo "study: training $name" >&2
  "$octconv" train --data "$data" --epochs 1 --out "$folder/$name" "$@" >&2
}

# tune NAME FILE: one more epoch from a file, at a fifth of the rate
tune() {
  train "$1" --model "$2" --learning-rate 0.02 --train-images "${TUNE_IMAGES:-0}"
}

# In percent, on all test images.
accuracy() {
  "$octconv" eval "$1" --data "$data" --json |
    python3 -c 'import json, sys; print("%.2f" % (100 * json.load(sys.stdin)["accuracy"]))'
}

# row NAME BEFORE-FILE AFTER-FILE
row() {
  printf '| %-52s | %6s | %6s |\n' "$1" "$(accuracy "$2")" "$(accuracy "$3")"
}

train vanilla --model resnet20
vanilla=$folder/vanilla/model.onnx
declare -A how=(
  [plain]=""
  [calibrated]="--calibrate $data"
  [chosen]="--choose-channels $data"
  [both]="--choose-channels $data --calibrate $data"
)
for twin in both plain chosen calibrated; do
  # shellcheck disable=SC2086  # options, one word each
  "$octconv" octavize "$vanilla" --alpha $alpha --stride-mode strided --images $samples \
    ${how[$twin]} -o "$folder/$twin.onnx" >&2
  tune "$twin-tuned" "$folder/$twin.onnx"
done
train scratch --model resnet20 --alpha $alpha
scratch=$folder/scratch/model.onnx
tune scratch-tuned "$scratch"
tune vanilla-tuned "$vanilla"

printf '| %-52s | %6s | %6s |\n' "test accuracy in percent" "before" "tuned"
echo "|---|---|---|"
row "ordinary network, one epoch" "$vanilla" "$folder/vanilla-tuned/model.onnx"
row "octave twin as it is" "$folder/plain.onnx" "$folder/plain-tuned/model.onnx"
row "octave twin, calibrated" "$folder/calibrated.onnx" "$folder/calibrated-tuned/model.onnx"
row "octave twin of chosen channels" "$folder/chosen.onnx" "$folder/chosen-tuned/model.onnx"
row "octave twin of chosen channels, calibrated" "$folder/both.onnx" "$folder/both-tuned/model.onnx"
row "octave network from scratch, one epoch" "$scratch" "$folder/scratch-tuned/model.onnx"

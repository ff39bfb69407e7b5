#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Trains in two network namespaces, as on two machines, and cuts the link between them.
#
# usage: scripts/test-hosts.sh [path/to/octconv]     (build/release/octconv)
#
# Exit code 77: skipped, because network namespaces cannot be made here (that takes root).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

octconv=$(realpath "${1:-build/release/octconv}")
first=octconv-first-$$
second=octconv-second-$$
timeout=6
processes=()
by_device=
work=$(mktemp -d)

skip() {
  echo "test-hosts: skipped: $1"
  exit 77
}

fail() {
  echo "test-hosts: FAILED: $1" >&2
  head -n 20 "$work"/*.log >&2 || true
  exit 1
}

clean_up() {
  for process in "${processes[@]}"; do kill -KILL "$process" 2>/dev/null || true; done
  { wait; } 2>/dev/null || true
  ip netns delete "$first" 2>/dev/null || true
  ip netns delete "$second" 2>/dev/null || true
  rm -rf "$work"
}
trap clean_up EXIT

command -v ip >/dev/null || skip "there is no ip (Debian's package iproute2)"
ip netns add "$first" 2>/dev/null || skip "this user cannot make network namespaces"
ip netns add "$second"
ip -n "$first" link add link0 type veth peer name link1 netns "$second" 2>/dev/null ||
  skip "this user cannot make pairs of network devices"
ip -n "$first" address add 10.231.77.1/24 dev link0
ip -n "$second" address add 10.231.77.2/24 dev link1
for side in "$first link0" "$second link1"; do
  read -r name device <<<"$side"
  ip -n "$name" link set lo up
  ip -n "$name" link set "$device" up
done

# 48 small images of three classes, which differ in brightness.
python3 - tests/cli "$work/data" <<'PYTHON'
import pathlib
import random
import sys

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
from data_commands_test import idx

folder = pathlib.Path(sys.argv[2])
folder.mkdir()
for part, count in (("train", 48), ("t10k", 20)):
    labels = [i % 3 for i in range(count)]
    pixels = [80 * label + random.randrange(60) for label in labels for _ in range(144)]
    (folder / f"{part}-images-idx3-ubyte").write_bytes(idx([count, 12, 12], pixels))
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx([count], labels))
PYTHON

# start NAMESPACE RANK OPTION...: in the background; its number is in `started`
start() {
  local name=$1 rank=$2
  shift 2
  GLOO_SOCKET_IFNAME=${by_device:+link$rank} RANK=$rank WORLD_SIZE=2 MASTER_ADDR=10.231.77.1 MASTER_PORT=29500 \
    ip netns exec "$name" "$octconv" train --data "$work/data" --batch-size 16 --threads 1 \
    --timeout "$timeout" --out "$work/out$rank" "$@" >"$work/$rank.log" 2>&1 &
  started=$!
  processes+=("$started")
}

# start_both OPTION...
start_both() {
  start "$first" 0 "$@"
  rank0=$started
  start "$second" 1 "$@"
  rank1=$started
}

# wait_for_newer FILE SECONDS: until the checkpoint is newer than the file
wait_for_newer() {
  for ((i = 0; i < $2 * 10; ++i)); do
    [[ $work/out0/checkpoint.pt -nt $1 ]] && return
    sleep 0.1
  done
  fail "no checkpoint after $2 s"
}

start_both --epochs 1 --sync-batch-norm
wait "$rank0" || fail "rank 0 could not train with rank 1 on the other side"
wait "$rank1" || fail "rank 1 could not train with rank 0 on the other side"
[[ -f $work/out0/model.onnx ]] || fail "rank 0 wrote no model"
[[ ! -e $work/out1 ]] || fail "rank 1 wrote $work/out1"
echo "test-hosts: two hosts trained together"
rm -r "$work/out0"

touch "$work/start"
start_both --epochs 100000
wait_for_newer "$work/start" 60
ip -n "$first" link set link0 down
SECONDS=0
for rank in 0 1; do
  process=rank$rank
  code=0
  wait "${!process}" || code=$?
  [[ $code -eq 1 ]] || fail "rank $rank ended with $code after the link was cut, not 1"
  [[ $(grep -c '^error: ' "$work/$rank.log") -eq 1 ]] || fail "rank $rank does not give one error"
  grep '^error: ' "$work/$rank.log"
done
((SECONDS <= timeout + 10)) || fail "it took $SECONDS s to notice that the link was cut"
echo "test-hosts: both ended $SECONDS s after the link was cut (--timeout $timeout)"

ip -n "$first" link set link0 up
touch "$work/start"
by_device=yes
start_both --epochs 100000 --resume
wait_for_newer "$work/start" 60
echo "test-hosts: both go on from the checkpoint, with their network devices named"

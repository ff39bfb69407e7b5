#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a network's convolutions for octconv_kernels_bench, each shape once, under the name of its first layer.

usage: make.py OCTCONV NETWORK ALPHA [depthwise] > FILE.txt
  depthwise  only convolutions of one filter per channel
"""
import re
import subprocess
import sys

VALUE = re.compile(r"(?P<name>\S+) = (?P<op>.*?)\((?P<inputs>[^()]*)\) channels (?P<channels>\S+)(?P<rest>.*)")
CONV = re.compile(r"(octave )?conv \[(?P<kernel>[\d, ]+)\](?P<options>.*)")


def joined(numbers):
    return "x".join(re.findall(r"\d+", numbers))


def option(name, text, default):
    found = re.search(name + r" \[?(\d+)", text)
    return found.group(1) if found else default


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    tool, network, alpha, *only = sys.argv[1:]
    dump = subprocess.run([tool, "cost", network, "--alpha", alpha, "--dump"], check=True, capture_output=True, text=True)
    print("# SPDX-License-Identifier: Apache-2.0")
    print(f"# Convolutions of {network}, alpha {alpha}, by make.py.")
    print("# name  in  out  groups  kernel  stride  extents")
    values = {}
    seen = set()
    for line in dump.stdout.splitlines():
        value = VALUE.match(line)
        if not value:
            continue
        extents = re.search(r"extents (\[[^]]*\])", value["rest"])
        values[value["name"]] = value["channels"], joined(extents.group(1)) if extents else ""
        conv = CONV.fullmatch(value["op"])
        if not conv:
            continue
        channels, grid = values[value["inputs"]]
        groups = option("groups", conv["options"], "1")
        total = sum(int(part) for part in channels.split("+"))
        if only and int(groups) != total:
            continue
        shape = (channels, value["channels"], groups, joined(conv["kernel"]), option("stride", conv["options"], "1"), grid)
        if shape not in seen:
            seen.add(shape)
            print(value["name"], *shape)


if __name__ == "__main__":
    main()

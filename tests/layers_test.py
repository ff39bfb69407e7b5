#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds every #include in include/, src/ and tools/ against the layers.

usage: layers_test.py SOURCE_FOLDER LAYERS_FILE

LAYERS_FILE is written by the build: one "layer: dependency dependency" line for each layer.
"""
import re
import sys
from pathlib import Path

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)

# Where a foreign header may be included: pattern of the header, pattern of the including file. The
# first pattern that matches a header decides.
TORCH_LAYERS = r"(include/octconv|src)/(nn|train)/"
FOREIGN = [
    # The umbrella header costs 17 s in each file that sees it.
    (r"torch/torch\.h", r"src/(nn|train)/[^/]+\.cc"),
    (r"(torch|ATen|c10)/", TORCH_LAYERS),
    (r"opencv2/", r"src/image/"),
    (r"(jpeglib|zlib)\.h", r"src/image/"),
    (r"omp\.h", r"src/base/parallel\.cc"),
    (r"(onnx|google/protobuf)/", r"src/onnx/"),
    (r"hwy/", r"src/(image|kernels|nn)/"),
    (r"CLI/", r"tools/"),
    (r"nlohmann/", r"(src|tools)/"),
    # POSIX: files in base, processes in the layers that measure, terminals in the command.
    (r"(fcntl|unistd|sys/[a-z]+)\.h", r"(src|tools)/"),
    # Names of hosts, between processes that train together.
    (r"netdb\.h", r"(src/train/group|tools/octconv/launch)\.cc"),
    # glibc: keeping freed memory while training.
    (r"malloc\.h", r"src/nn/memory\.cc"),
    # The C++ standard library.
    (r"[a-z_]+$", r""),
]


def read_layers(path):
    """Each layer with all that it may include: itself and what is below it."""
    below = {}
    for line in path.read_text().splitlines():
        layer, depends = line.split(":")
        below[layer] = {layer}.union(*(below[name] for name in depends.split()))
    return below


def layer_of(path):
    """The layer that a path inside the project belongs to, or None."""
    parts = path.parts
    if parts[0] == "src":
        return parts[1]
    if parts[:2] == ("include", "octconv"):
        return parts[2]
    return None


def resolve(source, including, name):
    """The project file that #include "name" in `including` means, or None."""
    for candidate in (including.parent / name, Path("include") / name, Path("src") / name):
        if (source / candidate).is_file():
            return candidate
        # Generated into the build tree.
        generated = Path("src", *candidate.parts[2:]).with_suffix(".h.in")
        if candidate.parts[:2] == ("include", "octconv") and (source / generated).is_file():
            return candidate
    return None


def errors_of(source, file, below):
    public = file.parts[0] == "include"
    layer = layer_of(file)
    text = (source / file).read_text()
    for mark, name in INCLUDE.findall(text):
        if mark == "<" or name.startswith("hwy/"):  # Highway's own files include it with quotes
            for header, where in FOREIGN:
                if re.match(header, name):
                    if not re.match(where, file.as_posix()):
                        yield f"<{name}> belongs in {where}"
                    break
            else:
                yield f"<{name}> is not a header that tests/layers_test.py knows"
            if public and name.startswith("nlohmann/"):
                yield f"<{name}> is private"
            continue
        target = None if ".." in name else resolve(source, file, name)
        if target is None:
            yield f'"{name}" is not a file of the project'
        elif public and not name.startswith("octconv/"):
            yield f'"{name}": a public header includes public headers, as "octconv/..."'
        elif layer is not None and layer_of(target) in below.keys() - below[layer]:
            yield f'"{name}": layer {layer} is not above {layer_of(target)}'
    if re.search(r"#\s*pragma\s+omp", text) and file.as_posix() != "src/base/parallel.cc":
        yield "OpenMP is used in src/base/parallel.cc only"


def main():
    source, layers_file = Path(sys.argv[1]), Path(sys.argv[2])
    below = read_layers(layers_file)
    files = sorted(path.relative_to(source)
                   for folder in ("include", "src", "tools")
                   for path in (source / folder).rglob("*")
                   if path.suffix in (".h", ".cc", ".in"))
    checked = 0
    failed = 0
    for file in files:
        if layer_of(file) is not None and layer_of(file) not in below:
            continue  # a layer that this build leaves out
        checked += 1
        for error in errors_of(source, file, below):
            failed += 1
            print(f"{file}: {error}")
    if checked == 0:
        sys.exit("no files found")
    print(f"{checked} files, {failed} errors")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

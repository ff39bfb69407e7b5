#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writes the reference of the public headers; fails if any public name has no comment.
#
# usage: scripts/docs.sh [output folder]
#   output folder   default build/reference; open html/index.html
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if (($# > 1)) || [[ ${1:-} == -* ]]; then
  echo "usage: scripts/docs.sh [output folder]" >&2
  exit 2
fi
if ! command -v doxygen >/dev/null; then
  echo "docs: doxygen is not installed; scripts/setup.sh installs it" >&2
  exit 1
fi
output=${1:-build/reference}
mkdir -p "$output"
{
  cat docs/Doxyfile
  echo "OUTPUT_DIRECTORY = \"$output\""
} | doxygen -
if [[ ! -f $output/html/index.html ]]; then
  echo "docs: doxygen wrote nothing to $output" >&2
  exit 1
fi

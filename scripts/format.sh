#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Formats every C++ file with clang-format 14.
#
# usage: scripts/format.sh [--check]
#   --check   changes nothing; fails and names the files that are not formatted
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mode=(-i)
case "${1:-}" in
  "") ;;
  --check) mode=(--dry-run --Werror) ;;
  *)
    echo "usage: scripts/format.sh [--check]" >&2
    exit 2
    ;;
esac

# Every version lays some line out differently.
formatter=$(command -v clang-format-14 || command -v clang-format || true)
if [[ -z $formatter ]] || ! "$formatter" --version | grep -q 'version 14\.'; then
  echo "format: clang-format 14 is not installed; scripts/setup.sh --developer installs it" >&2
  exit 1
fi
git ls-files -z --cached --others --exclude-standard -- '*.h' '*.cc' |
  xargs -0 "$formatter" "${mode[@]}"

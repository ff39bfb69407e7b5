#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes an array of zeros: zeros.py FILE.npy EXTENT..."""
import sys
from pathlib import Path

from cli_test import write_npy

write_npy(Path(sys.argv[1]), tuple(int(extent) for extent in sys.argv[2:]))

# SPDX-License-Identifier: Apache-2.0
"""Networks that PyTorch exports, read by octconv, give what PyTorch gives.

usage: pytorch_test.py path/to/octconv [unittest arguments], with a Python that has torch, torchvision and numpy
(Debian's python3-torchvision)
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import torch
import torchvision
from torch import nn

import pytorch_networks

TOOL = ""  # set by main

# Two float32 engines that add up some thousand products in different orders, up to 120 layers deep, agree to about
# 1e-6 of the range of their output; a wrong pixel or channel shows as 1e-2 and more.
TOLERANCE = 1e-4


def octconv(*arguments, expected=0):
    done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    if done.returncode != expected:
        raise AssertionError(f"octconv {' '.join(map(str, arguments))}: {done.returncode}\n{done.stderr}")
    return done.stderr if expected else done.stdout


class Imports(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def export(self, network, images, **options):
        path = self.folder / "network.onnx"
        pytorch_networks.export(network, images, path, **options)
        return path

    def run_file(self, path, images):
        np.save(self.folder / "x.npy", images.numpy())
        octconv("run", path, "--input", self.folder / "x.npy", "--output", self.folder / "y.npy")
        return np.load(self.folder / "y.npy")

    def compare(self, network, size, channels=3, batch=2, **options):
        extents = size if isinstance(size, tuple) else (size, size)
        network, images, expected = pytorch_networks.prepare(network, extents, channels, batch)
        path = self.export(network, images, **options)
        got = self.run_file(path, images)
        expected = expected.reshape(got.shape)
        self.assertLess(np.abs(got - expected).max() / np.ptp(expected), TOLERANCE)
        return path

    # --- torchvision's networks

    def test_every_network(self):
        for name, (make, extents) in pytorch_networks.NETWORKS.items():
            with self.subTest(network=name):
                self.compare(make(), extents)

    def test_opsets(self):
        for opset in (9, 11, 13, 17):
            with self.subTest(opset=opset):
                self.compare(torchvision.models.resnet18(num_classes=10), 65, opset_version=opset)

    def test_batch_norm_that_was_not_folded(self):
        training = torch.onnx.TrainingMode.PRESERVE
        self.compare(torchvision.models.resnet18(num_classes=10), 64, training=training,
                     do_constant_folding=False)  # fmt: skip

    def test_a_network_of_one_axis(self):
        network = nn.Sequential(
            nn.Conv1d(3, 8, 5, stride=2, padding=2), nn.BatchNorm1d(8), nn.ReLU6(), nn.MaxPool1d(2),
            nn.Conv1d(8, 12, 3, padding=2, dilation=2, groups=4), nn.Sigmoid(), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
            nn.Linear(12, 5),
        )  # fmt: skip
        self.compare(network, (41,))

    # --- octave twins

    def test_octave_twins_cost_less_and_alpha_0_changes_nothing(self):
        network = torchvision.models.resnet18(num_classes=10)
        path = self.compare(network, 64)
        images = torch.randn(2, 3, 64, 64)
        before = self.run_file(path, images)
        twin = self.folder / "twin.onnx"
        octconv("octavize", path, "--alpha", 0, "-o", twin)
        np.testing.assert_allclose(self.run_file(twin, images), before, atol=1e-5 * np.ptp(before))
        result = json.loads(octconv("octavize", path, "--alpha", 0.5, "--json", "-o", twin))
        self.assertEqual(result["kept_ordinary"], [])
        # All but the three convolutions of the last stage that read what that stage makes: the first one gives
        # octave values too, since the first block adds its own result to them.
        self.assertEqual(result["octave_convs"], 17)
        self.assertLess(result["after"]["macs"], 0.7 * result["before"]["macs"])
        self.assertEqual(self.run_file(twin, images).shape, before.shape)

    # --- what cannot be taken

    def test_every_operation_that_cannot_be_taken_is_named(self):
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Conv2d(4, 4, 3), nn.Softplus())
        path = self.export(network, torch.randn(1, 3, 9, 9))
        error = octconv("octavize", path, "--alpha", 0.5, "-o", self.folder / "twin.onnx", expected=1)
        for name in ("(Erf)", "(Softplus)"):
            self.assertIn(name, error)

    def test_a_flattened_map_is_refused(self):
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 49, 3))
        path = self.export(network, torch.randn(1, 3, 9, 9))
        error = octconv("octavize", path, "--alpha", 0.5, "-o", self.folder / "twin.onnx", expected=1)
        self.assertIn("flattens a map", error)


if __name__ == "__main__":
    TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Exported files, run by ONNX Runtime and by OpenVINO, give what octconv's own engine gives.

The engines share no code from the file on: ONNX Runtime and OpenVINO run the plain operations, octconv runs the
graph in the metadata. Before the comparison every parameter is replaced by random numbers, so that no batch norm is
the identity.

Without OCTCONV_TEST_EVERYTHING a part of the networks and options, most of it by one of the engines.

usage: peer_test.py path/to/octconv [unittest arguments], with the Python that scripts/peers.sh makes
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import onnx

from engines import ENGINES

TOOL = ""  # set by main
EVERYTHING = "OCTCONV_TEST_EVERYTHING" in os.environ

# Two float32 engines that add up to 4608 products in different orders, fifty layers deep, agree to about 1e-6 of
# the range of their output; a wrong pixel or channel shows as 1e-2 and more.
TOLERANCE = 1e-4

BATCH = 2

FAMILIES = (
    "resnet18v1", "se_resnet50v2", "resnext50v2_32x4d", "densenet121", "resnet50_v1b", "mobilenet_v1", "mobilenet_v2",
    "c2d_resnet50", "i3d_resnet50_nl",
)  # fmt: skip
# Those that run ordinary too, and in both engines, where not everything is tested.
QUICK = ("resnet18v1", "mobilenet_v2", "c2d_resnet50")


def octconv(*arguments):
    command = [TOOL, *map(str, arguments)]
    return subprocess.run(command, check=True, timeout=300, stdout=subprocess.PIPE, text=True).stdout


def randomise(path):
    """Replaces every parameter of the file: convolutions and linear layers keep the scale of their outputs."""
    model = onnx.load(path)
    random = np.random.default_rng(0)
    # Where gates multiply what grows from block to block, rounding grows as much, and no two engines agree (nor one
    # with itself, adding up in another order): larger variances keep the blocks small.
    gated = any(".se." in tensor.name for tensor in model.graph.initializer)
    for tensor in model.graph.initializer:
        dims = list(tensor.dims)
        constant = tensor.name.startswith(("upsample.", "relu6.", "ones.", "zeros.", "resize.")) or tensor.name.endswith(
            (".factor", ".no_bias")
        )
        if constant or tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        if "running_var" in tensor.name:
            values = random.uniform(0.5, 2, dims) * (2 if gated else 1)
        elif len(dims) > 1:
            values = random.standard_normal(dims) * np.sqrt(2 / np.prod(dims[1:]))
        elif ".weight" in tensor.name:
            values = random.uniform(0.5, 1.5, dims)
        else:
            values = random.standard_normal(dims) * 0.1
        tensor.raw_data = values.astype("<f4").tobytes()
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


class Agreement(unittest.TestCase):
    def compare(self, network, size, *options, engines=tuple(ENGINES)):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            path, x, y = folder / "net.onnx", folder / "x.npy", folder / "y.npy"
            octconv("export", network, "--size", size, *options, "-o", path)
            randomise(path)
            dims = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
            shape = (BATCH, *(dim.dim_value for dim in dims[1:]))
            images = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
            np.save(x, images)
            octconv("run", path, "--input", x, "--output", y)
            got = np.load(y)
            # OpenVINO knows no functions that a file defines.
            for engine in ["ONNX Runtime"] if "--functions" in options else engines:
                with self.subTest(network=network, size=size, options=options, engine=engine):
                    expected = ENGINES[engine](path, images)
                    self.assertEqual(got.shape, expected.shape)
                    error = np.abs(got - expected).max() / np.ptp(expected)
                    self.assertLess(error, TOLERANCE)

    def test_ordinary_and_octave_at_even_and_odd_sizes(self):
        for size in (32, 33):
            for alpha in (0, 0.25, 0.5):
                self.compare("resnet20", size, "--alpha", alpha)

    def test_bottlenecks_of_the_article(self):
        for alpha in (0, 0.25, 0.5) if EVERYTHING else (0.5,):
            self.compare("resnet50v2", 33, "--alpha", alpha)

    def test_every_family(self):
        for network in FAMILIES:
            whole = EVERYTHING or network in QUICK
            for alpha in (0, 0.25) if whole else (0.25,):
                self.compare(network, 65, "--alpha", alpha, engines=ENGINES if whole else ["ONNX Runtime"])

    @unittest.skipUnless(EVERYTHING, "OCTCONV_TEST_EVERYTHING is not set")
    def test_every_network_of_the_zoo(self):
        networks = [entry["name"] for entry in json.loads(octconv("zoo", "--json"))]
        self.assertLessEqual({*FAMILIES, "resnet50v2"}, set(networks))
        for network in networks:
            if network not in FAMILIES:
                for alpha in (0, 0.25):
                    self.compare(network, 33, "--alpha", alpha)

    def test_every_stride_mode(self):
        for mode in ("pool", "pool_twice", "pool_low", "strided"):
            for alpha in (0, 0.5):
                self.compare("resnet20", 35, "--alpha", alpha, "--stride-mode", mode)

    def test_every_exchange(self):
        for exchange in ("high_to_low", "low_to_high", "none"):
            self.compare("resnet20", 32, "--alpha", 0.5, "--exchange", exchange)

    def test_every_opset(self):
        engines = ENGINES if EVERYTHING else ["ONNX Runtime"]
        for opset in range(9, 22):
            self.compare("resnet20", 35, "--alpha", 0.5, "--opset", opset, engines=engines)
        # What is written in another way before some opset: gates, attention, relu6.
        for opset in (9, 10, 11, 12, 21) if EVERYTHING else (9,):
            self.compare("se_resnet50v2", 65, "--alpha", 0.25, "--opset", opset, engines=engines)
            self.compare("i3d_resnet50_nl", 33, "--alpha", 0.25, "--opset", opset, engines=engines)
            self.compare("mobilenet_v2", 33, "--alpha", 0.25, "--opset", opset, engines=engines)

    def test_functions(self):
        for opset in range(15, 22) if EVERYTHING else (15, 21):
            self.compare("resnet20", 35, "--alpha", 0.5, "--functions", "--opset", opset)
        all = ("se_resnet50v2", "resnext50v2_32x4d", "densenet121", "resnet50_v1b", "mobilenet_v2", "i3d_resnet50")
        for network in all if EVERYTHING else ("se_resnet50v2", "mobilenet_v2"):
            self.compare(network, 65, "--alpha", 0.25, "--functions")
        for mode in ("pool", "pool_twice", "pool_low", "strided"):
            self.compare("resnet20", 33, "--alpha", 0.5, "--stride-mode", mode, "--functions")

    def test_folded(self):
        for network in ("resnet20", "resnet50v2", "densenet121") if EVERYTHING else ("resnet20", "densenet121"):
            self.compare(network, 33, "--alpha", 0.25, "--fold")

    def test_a_fixed_batch(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "net.onnx"
            octconv("export", "resnet20", "--fixed-batch", "-o", path)
            batch = lambda: onnx.load(path).graph.input[0].type.tensor_type.shape.dim[0]  # noqa: E731
            self.assertEqual(batch().dim_value, 1)
            octconv("export", "resnet20", "-o", path)
            self.assertEqual(batch().dim_param, "batch")

    def test_nothing_but_low_channels(self):
        self.compare("resnet20", 33, "--alpha", 1)

    def test_other_inputs_and_classes(self):
        self.compare("resnet20", 28, "--alpha", 0.25, "--in-channels", 1, "--classes", 7)


def main():
    global TOOL
    if len(sys.argv) < 2 or not os.access(sys.argv[1], os.X_OK):
        sys.exit(__doc__)
    TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()


if __name__ == "__main__":
    main()

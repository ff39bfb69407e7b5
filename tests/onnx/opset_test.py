# SPDX-License-Identifier: Apache-2.0
"""Files of the newest opsets, which PyTorch's older exporter cannot write: networks of PyTorch, converted by ONNX's
own converter, are read and give what PyTorch gives.

usage: opset_test.py path/to/octconv path/to/python [unittest arguments], with the Python that scripts/peers.sh
makes; the second path is a Python with torch and torchvision (Debian's python3-torchvision)
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import onnx
import onnx.version_converter

TOOL = ""  # set by main
PYTORCH = ""  # set by main
NETWORKS = (
    "gated", "inception_v3", "lraspp_mobilenet_v3_large", "mobilenet_v2", "mobilenet_v3_small", "resnet18",
    "shufflenet_v2_x1_0", "squeezenet1_1",
)  # fmt: skip

# See pytorch_test.py.
TOLERANCE = 1e-4


class Opsets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        script = pathlib.Path(__file__).with_name("pytorch_networks.py")
        subprocess.run([PYTORCH, script, folder.name, *NETWORKS], check=True, timeout=300)

    def test_every_network_in_every_opset(self):
        operations = set()
        for name in NETWORKS:
            images, expected = self.folder / f"{name}.x.npy", np.load(self.folder / f"{name}.y.npy")
            model = onnx.load(self.folder / f"{name}.onnx")
            for opset in (18, 19, 20, 21):
                with self.subTest(network=name, opset=opset):
                    converted = onnx.version_converter.convert_version(model, opset)
                    self.assertEqual([entry.version for entry in converted.opset_import], [opset])
                    onnx.checker.check_model(converted, full_check=True)
                    path, output = self.folder / "converted.onnx", self.folder / "y.npy"
                    onnx.save(converted, path)
                    subprocess.run([TOOL, "run", path, "--input", images, "--output", output],
                                   check=True, timeout=300)  # fmt: skip
                    got = np.load(output)
                    error = np.abs(got.reshape(expected.shape) - expected).max() / np.ptp(expected)
                    self.assertLess(error, TOLERANCE)
                    operations |= {node.op_type for node in converted.graph.node}
        # ReduceMean's axes became an input in 18; AveragePool changed in 19; Pad, Reshape and Resize in several.
        changed = {"AveragePool", "Flatten", "Pad", "ReduceMean", "Reshape", "Resize", "Shape", "Slice", "Transpose"}
        self.assertLessEqual(changed, operations)


def main():
    global TOOL, PYTORCH
    if len(sys.argv) < 3 or not os.access(sys.argv[1], os.X_OK) or not os.access(sys.argv[2], os.X_OK):
        sys.exit(__doc__)
    TOOL, PYTORCH = os.path.abspath(sys.argv.pop(1)), sys.argv.pop(1)
    unittest.main()


if __name__ == "__main__":
    main()

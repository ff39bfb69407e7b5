# SPDX-License-Identifier: Apache-2.0
"""Files of one or a few operations, in the forms that exporters write, give what they give in ONNX Runtime.

usage: operations_test.py path/to/octconv [unittest arguments], with the Python that scripts/peers.sh makes
"""
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

TOOL = ""  # set by main

# Both engines compute in float32; sums have at most a few hundred terms.
TOLERANCE = 1e-5


class Net:
    """A file being written: its operations, and constants named after their place."""

    def __init__(self, channels=4, extents=(7, 6), opset=13, batch=2, open_extents=False, last=False):
        self.opset = opset
        self.last = last
        self.random = np.random.default_rng(0)
        self.nodes = []
        self.initializers = []
        shape = (*extents, channels) if last else (channels, *extents)
        self.shape = (batch, *shape)
        declared = ["N", channels, "H", "W"] if open_extents else ["N", *shape]
        if batch is not None and not open_extents:
            declared[0] = "N"
        self.input = helper.make_tensor_value_info("x", TensorProto.FLOAT, declared)

    def fixed_batch(self):
        self.input.type.tensor_type.shape.dim[0].dim_value = self.shape[0]
        return self

    def constant(self, values, dtype=np.float32):
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
        return name

    def sizes(self, *values):
        return self.constant(list(values), np.int64)

    def weight(self, *shape):
        return self.constant(self.random.standard_normal(shape) / np.sqrt(np.prod(shape[1:])))

    def __call__(self, op, *inputs, outputs=1, **attributes):
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def model(self, result):
        if isinstance(result, str):
            result = [result]
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in result]
        graph = helper.make_graph(self.nodes, "g", [self.input], outputs, self.initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


def conv(net, x, out=4, channels=4, kernel=3, **attributes):
    return net("Conv", x, net.weight(out, channels, kernel, kernel), **attributes)


class Operations(unittest.TestCase):
    def agree(self, net, result, save=None, name=None):
        with self.subTest(name or net.nodes[-1].op_type), tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            path, x, y = folder / "f.onnx", folder / "x.npy", folder / "y.npy"
            onnx.save(net.model(result), path, **(save or {}))
            image = net.random.standard_normal(net.shape).astype(np.float32)
            expected = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": image})[0]
            given = np.moveaxis(image, -1, 1) if net.last else image
            np.save(x, np.ascontiguousarray(given))
            run = subprocess.run([TOOL, "run", path, "--input", x, "--output", y], capture_output=True, text=True, timeout=60)
            self.assertEqual(run.returncode, 0, run.stderr)
            got = np.load(y)
            self.assertEqual(got.size, expected.size)
            error = np.abs(got.reshape(expected.shape) - expected).max()
            self.assertLess(error, TOLERANCE * max(1.0, np.abs(expected).max()))

    def test_activations(self):
        for op, attributes, opset in (
            ("Relu", {}, 13), ("Sigmoid", {}, 9), ("LeakyRelu", {"alpha": 0.3}, 13), ("LeakyRelu", {}, 9),
            ("HardSigmoid", {}, 13), ("HardSigmoid", {"alpha": 1 / 6}, 13), ("HardSwish", {}, 14),
        ):
            net = Net(opset=opset)
            self.agree(net, net(op, "x", **attributes))

    def test_functions_spelled_out(self):
        for order in (0, 1):
            net = Net()
            gate = net("Sigmoid", "x")
            self.agree(net, net("Mul", *(("x", gate) if order else (gate, "x"))), name="silu")
        for divide_last in (False, True):
            net = Net()
            y = net("Clip", net("Add", "x", net.constant(3.0)), net.constant(0.0), net.constant(6.0))
            if divide_last:
                y = net("Div", net("Mul", "x", y), net.constant(6.0))
            else:
                y = net("Mul", "x", net("Div", y, net.constant(6.0)))
            self.agree(net, net("Mul", net.constant([2.0]), y), name="hard swish")
        net = Net()
        self.agree(net, net("Mul", net("HardSigmoid", "x", alpha=1 / 6), "x"), name="hard swish of PyTorch")
        net = Net()
        self.agree(net, net("Mul", net("HardSigmoid", "x"), "x"), name="another hard swish")

    def test_clip(self):
        net = Net(opset=9)
        self.agree(net, net("Clip", "x", min=0.0, max=6.0))
        for least, most in ((-1, 1), (0.25, 0.75)):
            net = Net()
            self.agree(net, net("Clip", "x", net.constant(float(least)), net.constant(float(most))))
        net = Net()
        y = net("Sub", net.constant(0.5), net("Mul", "x", net.constant(2.0)))
        self.agree(net, net("Clip", y, net.constant(-1.0), net.constant(0.5)), name="clip of a line")

    def test_prelu(self):
        net = Net()
        self.agree(net, net("PRelu", "x", net.constant([[[0.1]], [[0.2]], [[-0.3]], [[2]]])))
        net = Net()
        self.agree(net, net("PRelu", "x", net.constant([0.1])))

    def test_constants(self):
        per_channel = np.arange(1, 5).reshape(1, 4, 1, 1)
        for op in ("Add", "Sub", "Mul", "Div"):
            for values in (2.0, [3.0], per_channel, per_channel[0]):
                net = Net()
                self.agree(net, net(op, conv(net, "x"), net.constant(values)), name=f"{op} {np.shape(values)}")
                if op != "Div":
                    net = Net()
                    self.agree(net, net(op, net.constant(values), "x"), name=f"{op} first {np.shape(values)}")
        net = Net()
        self.agree(net, net("Neg", "x"))
        net = Net()
        y = net("Add", net("Mul", "x", net.constant(2.0)), net.constant(1.0))
        self.agree(net, conv(net, y, pads=[1, 1, 1, 1]), name="a shift before padding")

    def test_two_values(self):
        net = Net()
        a, b = conv(net, "x"), conv(net, "x")
        for op in ("Add", "Sub", "Mul"):
            net.nodes = net.nodes[:2]
            self.agree(net, net(op, a, b))

    def test_gates(self):
        for first in (False, True):
            net = Net()
            gate = net("Sigmoid", net("Conv", net("GlobalAveragePool", "x"), net.weight(4, 4, 1, 1)))
            self.agree(net, net("Mul", *((gate, "x") if first else ("x", gate))), name="gate")
        net = Net()
        gate = net("HardSigmoid", net("ReduceMean", "x", axes=[2, 3], keepdims=1))
        y = net("Mul", "x", gate)
        self.agree(net, net("Add", "x", y), name="residual gate")

    def test_padding(self):
        for pads in ([0, 0, 1, 2, 0, 0, 0, 3], [0, 0, 1, 1, 0, 0, 1, 1]):
            net = Net()
            self.agree(net, conv(net, net("Pad", "x", net.sizes(*pads)), pads=[1, 0, 0, 1]), name="pad, conv")
            net = Net()
            self.agree(net, net("AveragePool", net("Pad", "x", net.sizes(*pads)), kernel_shape=[3, 3]), name="pad, mean")
            net = Net()
            self.agree(net, net("MaxPool", net("Pad", "x", net.sizes(*pads), net.constant(0.0)), kernel_shape=[2, 2]), name="pad, max")
            net = Net()
            self.agree(net, net("Relu", net("Pad", "x", net.sizes(*pads))), name="pad, relu")
        net = Net(opset=9)
        self.agree(net, conv(net, net("Pad", "x", pads=[0, 0, 0, 0, 0, 0, 1, 1]), strides=[2, 2]), name="pad of opset 9")
        net = Net(opset=18)
        y = net("Pad", "x", net.sizes(1, 2, 0, 1), "", net.sizes(2, 3))
        self.agree(net, conv(net, y), name="pad of opset 18")

    def test_padding_computed_by_pytorch(self):
        net = Net()
        zeros = net("ConstantOfShape", net.sizes(4), value=numpy_helper.from_array(np.zeros(1, np.int64)))
        pads = net("Concat", net.sizes(0, 1, 2, 1), zeros, axis=0)
        pads = net("Slice", net("Reshape", pads, net.sizes(-1, 2)), net.sizes(-1), net.sizes(-(2**63) + 1), net.sizes(0), net.sizes(-1))
        pads = net("Cast", net("Reshape", net("Transpose", pads, perm=[1, 0]), net.sizes(-1)), to=7)
        self.agree(net, conv(net, net("Pad", "x", pads, net.constant(0.0))))

    def test_pools(self):
        for op in ("MaxPool", "AveragePool"):
            for attributes in (
                {"kernel_shape": [2, 2], "strides": [2, 2]}, {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1]},
                {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, {"kernel_shape": [1, 1]},
                {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
                {"kernel_shape": [2, 2], "auto_pad": "SAME_LOWER"},
            ):
                net = Net()
                self.agree(net, net(op, "x", **attributes), name=f"{op} {attributes}")
        net = Net()
        self.agree(net, net("AveragePool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1))
        net = Net()
        self.agree(net, net("GlobalMaxPool", "x"))

    def test_enlarging(self):
        for attributes in (
            {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, {},
            {"coordinate_transformation_mode": "pytorch_half_pixel", "mode": "linear"}, {"mode": "linear"},
            {"nearest_mode": "round_prefer_ceil"},
        ):
            net = Net()
            self.agree(net, net("Resize", "x", "", net.constant([1, 1, 2, 3]), **attributes), name=f"scales {attributes}")
            net = Net().fixed_batch()
            self.agree(net, net("Resize", "x", "", "", net.sizes(2, 4, 21, 12), **attributes), name=f"sizes {attributes}")
        net = Net().fixed_batch()
        self.agree(net, net("Resize", "x", "", "", net.sizes(2, 4, 13, 11), coordinate_transformation_mode="asymmetric",
                            nearest_mode="floor"), name="one pixel less")
        net = Net().fixed_batch()
        large = net("Resize", "x", "", net.constant([1, 1, 2, 3]), nearest_mode="floor", coordinate_transformation_mode="asymmetric")
        large = net("Slice", large, net.sizes(0), net.sizes(13), net.sizes(2))
        self.agree(net, net("Slice", large, net.sizes(0), net.sizes(-2), net.sizes(3)), name="cropped")
        net = Net()
        small = net("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2])
        size = net("Slice", net("Shape", "x"), net.sizes(2), net.sizes(4), net.sizes(0))
        two = net("Slice", net("Shape", small), net.sizes(0), net.sizes(2), net.sizes(0))
        size = net("Mul", net("Div", size, net.sizes(2)), net.sizes(2))
        self.agree(net, net("Resize", small, "", "", net("Concat", two, size, axis=0)), name="sizes of another value")
        net = Net(opset=10)
        self.agree(net, net("Resize", "x", net.constant([1, 1, 2, 2])), name="opset 10")
        net = Net(opset=9)
        self.agree(net, net("Upsample", "x", net.constant([1, 1, 2, 2]), mode="nearest"))
        net = Net(opset=18)
        self.agree(net, net("Resize", "x", "", net.constant([2, 2]), axes=[2, 3]), name="axes of opset 18")

    def test_transposed_convolutions(self):
        for attributes, kernel, groups in (
            ({"strides": [2, 2]}, 2, 1), ({"strides": [2, 3], "pads": [1, 1, 1, 0]}, 3, 1), ({"pads": [1, 1, 1, 1]}, 3, 2),
            ({"strides": [2, 2], "output_padding": [1, 1], "pads": [1, 1, 1, 1]}, 3, 1), ({"dilations": [2, 1]}, 3, 4),
        ):
            net = Net()
            y = net("ConvTranspose", "x", net.weight(4, 8 // groups, kernel, kernel), group=groups, **attributes)
            y = net("Add", y, net.constant(np.arange(8).reshape(1, 8, 1, 1)))
            self.agree(net, net("Relu", y), name=f"transposed {attributes}")
        for mode in ("DCR", "CRD"):
            net = Net(channels=8)
            self.agree(net, net("DepthToSpace", "x", blocksize=2, mode=mode))

    def test_channels(self):
        net = Net()
        parts = net("Split", "x", net.sizes(1, 3), outputs=2, axis=1)
        self.agree(net, net("Concat", parts[1], parts[0], parts[1], axis=1))
        net = Net(opset=11)
        parts = net("Split", "x", outputs=2, axis=1)
        self.agree(net, net("Concat", parts[1], parts[0], axis=1), name="split of opset 11")
        net = Net()
        half = net("Div", net("Gather", net("Shape", "x"), net.sizes(1)), net.sizes(2))
        self.agree(net, net("Slice", "x", half, net("Mul", half, net.sizes(2)), net.sizes(1)))
        net = Net(opset=9)
        self.agree(net, net("Slice", "x", starts=[1], ends=[3], axes=[1]), name="slice of opset 9")
        net = Net()
        self.agree(net, net("Slice", "x", net.sizes(-1), net.sizes(-100), net.sizes(1), net.sizes(-2)), name="backwards")
        net = Net()
        self.agree(net, net("Gather", "x", net.sizes(3, 0, -2), axis=1))

    def test_shuffle(self):
        net = Net(channels=6)
        y = net("Transpose", net("Reshape", "x", net.sizes(-1, 2, 3, 7, 6)), perm=[0, 2, 1, 3, 4])
        self.agree(net, net("Reshape", y, net.sizes(-1, 6, 7, 6)))
        net = Net(channels=6, batch=1, open_extents=True)
        size = net("Shape", "x")
        at = lambda i: net("Unsqueeze", net("Gather", size, net.constant(i, np.int64)), net.sizes(0))
        wide = [at(0), net.sizes(3), net("Div", at(1), net.sizes(3)), at(2), at(3)]
        y = net("Reshape", "x", net("Concat", *wide, axis=0))
        y = net("Transpose", y, perm=[0, 2, 1, 3, 4])
        self.agree(net, net("Reshape", y, net("Concat", at(0), net.sizes(-1), at(2), at(3), axis=0)), name="open shuffle")

    def test_fully_connected(self):
        net = Net()
        y = net("Gemm", net("Flatten", "x"), net.weight(5, 168), net.constant(range(5)), transB=1)
        y = net("Gemm", net("Relu", y), net.weight(3, 5), transB=1)
        self.agree(net, net("Softmax", y, axis=-1), name="flattened")
        net = Net()
        y = net("Reshape", net("Relu", "x"), net.sizes(-1, 168))
        self.agree(net, net("Add", net("MatMul", y, net.weight(168, 5)), net.constant(range(5))), name="matmul")
        net = Net()
        y = net("AveragePool", "x", kernel_shape=[7, 6])
        shape = net("Concat", net("Slice", net("Shape", y), net.sizes(0), net.sizes(1), net.sizes(0)), net.sizes(4), axis=-1)
        self.agree(net, net("MatMul", net("Reshape", y, shape), net.weight(4, 5)), name="one pixel")
        net = Net()
        y = net("Squeeze", net("Squeeze", net("GlobalAveragePool", "x"), net.sizes(3)), net.sizes(-1))
        self.agree(net, net("HardSwish" if net.opset > 13 else "Relu", net("Gemm", y, net.weight(4, 5))), name="squeezed")

    def test_channels_last(self):
        net = Net(last=True)
        y = conv(net, net("Transpose", "x", perm=[0, 3, 1, 2]), pads=[1, 1, 1, 1])
        y = net("Relu", net("Transpose", y, perm=[0, 2, 3, 1]))
        y = net("Reshape", y, net.sizes(-1, 168))
        self.agree(net, net("MatMul", y, net.weight(168, 5)), name="Keras' flatten")
        net = Net(last=True)
        y = conv(net, net("Transpose", "x", perm=[0, 3, 1, 2]))
        y = net("ReduceMean", net("Transpose", y, perm=[0, 2, 3, 1]), axes=[1, 2], keepdims=0)
        self.agree(net, net("Softmax", net("MatMul", y, net.weight(4, 5)), axis=1), name="Keras' mean")

    def test_softmax_of_a_map(self):
        net = Net()
        self.agree(net, net("Softmax", "x", axis=1))

    def test_external_data(self):
        net = Net()
        self.agree(net, conv(net, "x", 64), save={
            "save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}, name="external data")

    def test_external_data_elsewhere_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "model").mkdir()
            net = Net()
            model = net.model(conv(net, "x"))
            for location in ("../weights.bin", str(folder / "weights.bin"), "missing.bin", "link"):
                (folder / "weights.bin").write_bytes(bytes(4 * 144))
                (folder / "model" / "link").unlink(missing_ok=True)
                (folder / "model" / "link").symlink_to(folder / "weights.bin")
                tensor = model.graph.initializer[0]
                tensor.ClearField("raw_data")
                tensor.data_location = TensorProto.EXTERNAL
                del tensor.external_data[:]
                tensor.external_data.add(key="location", value=location)
                path = folder / "model" / "f.onnx"
                path.write_bytes(model.SerializeToString())
                run = subprocess.run([TOOL, "inspect", path], capture_output=True, text=True, timeout=60)
                self.assertEqual(run.returncode, 1)
                self.assertIn(f"'{location}'", run.stderr)


if __name__ == "__main__":
    TOOL = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
